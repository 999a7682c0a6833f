"""What a check finds."""

from enum import StrEnum

from msgspec import Struct

from ztag_extauthz.errors import Mistake


class Level(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """Requests are denied, or pass unasked."""
    WARNING = "warning"
    """It works, and one day it will surprise."""


class Finding(Struct, frozen=True):
    level: Level
    mistake: Mistake

    def __str__(self) -> str:
        return f"{self.level}: {self.mistake}"


def error(where: str, what: str, remedy: str) -> Finding:
    return Finding(Level.ERROR, Mistake(where, what, remedy))


def warning(where: str, what: str, remedy: str) -> Finding:
    return Finding(Level.WARNING, Mistake(where, what, remedy))
