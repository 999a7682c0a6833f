"""What every section of the settings is made of. A section stands in the file that reads it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A duration in seconds."""


class Section(BaseModel):
    """A part of the settings: frozen, unknown keys refused. Each field's description becomes the reference in `docs/`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)
