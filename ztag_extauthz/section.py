"""What every section of the settings is made of. A section stands in the file that reads it."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

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
