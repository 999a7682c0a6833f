"""What a validation has found: errors, and how well it went."""

from dataclasses import dataclass, field
from typing import Final

from ztag_extauthz.rego.values import Value

Place = tuple[str, ...]
"""Where in the document: names and indices from its root."""
_ROOT: Final = "(Root)"


@dataclass(slots=True)
class Result:
    errors: list[dict[str, Value]] = field(default_factory=list)
    score: int = 0

    def add(self, kind: str, place: Place, text: str) -> None:
        where = field_of(place)
        self.errors.append({"error": f"{where}: {text}", "type": kind, "field": where, "desc": text})
        self.score -= 2

    def merge(self, other: "Result") -> None:
        self.errors += other.errors
        self.score += other.score


def field_of(place: Place) -> str:
    return ".".join((_ROOT, *place)).removeprefix(f"{_ROOT}.")
