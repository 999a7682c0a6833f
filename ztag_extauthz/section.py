"""What every section of the settings is made of. A section stands in the file that reads it."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A duration in seconds."""


class Section(BaseModel):
    """A part of the settings: frozen, unknown keys refused. The descriptions of its fields become the reference."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)

    file_fields: ClassVar[tuple[str, ...]] = ()
    """Fields that name files or folders, one or a tuple; a change of what they name is a reload."""

    def files(self) -> Iterator[str]:
        """Yield every path that this section and those within it name, as written."""
        for name, value in self:
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, Section):
                    yield from item.files()
                elif name in self.file_fields and item is not None:
                    yield item

    def with_files(self, move: Callable[[str], str]) -> Self:
        """Return the section with every path that `files` yields replaced by what `move` makes of it."""

        def moved(name: str, value: Any) -> Any:
            if isinstance(value, tuple):
                return tuple(moved(name, item) for item in value)
            if isinstance(value, Section):
                return value.with_files(move)
            return move(value) if name in self.file_fields and value is not None else value

        return self.model_copy(update={name: moved(name, value) for name, value in self})
