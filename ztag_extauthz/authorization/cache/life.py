"""How long an answer may be given again, and why it may not be.

# METADATA
# custom:
#   ztag:
#     ttl: 5s
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from ztag_extauthz.authorization.cache.unlike import is_unlike
from ztag_extauthz.errors import Mistake, PolicyError
from ztag_extauthz.rego.values import Value

if TYPE_CHECKING:
    from ztag_extauthz.rego.reads import Reads

_TTL: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)", re.ASCII)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_REMEDY: Final = "write it like `5s`, `500ms` or `1m`; `0s` for never"

Label: TypeAlias = Literal["impure", "unlike", "unversioned", "short_lived"]


class WhyNot(NamedTuple):
    """Why a decision is not remembered: as a metric's label, and for people."""

    label: Label
    text: str


def why_not(reads: "Reads", life: float) -> WhyNot | None:
    """Return what stands against remembering a decision whose answers live so many seconds."""
    if reads.impure:
        return WhyNot("impure", f"{', '.join(sorted(reads.impure))} may answer differently each time")
    unlike = sorted((path for path in reads.deep if is_unlike(path)), key=repr)
    if unlike and not unlike[0]:
        return WhyNot("unlike", "it reads the whole input, which no two requests have in common")
    if unlike:
        name = ".".join(("input", *map(str, unlike[0])))
        return WhyNot("unlike", f"it reads {name}, which no two requests have in common")
    if life <= 0:
        return WhyNot("short_lived", "a rule says so: its ttl is 0s")
    return None


def shortest(annotations: Iterable[tuple[str, Value]], longest: float) -> float:
    """Return the shortest life in seconds that a rule states; raises `PolicyError` for what is none."""
    mistakes: list[Mistake] = []
    for place, note in annotations:
        said = _stated(note)
        if unknown := sorted(map(str, set(said) - {"ttl"})):
            mistakes.append(Mistake(place, f"custom.ztag has no {', '.join(unknown)}", "it has ttl: 5s alone"))
        text = said.get("ttl")
        match = _TTL.fullmatch(text) if isinstance(text, str) else None
        if match is not None:
            longest = min(longest, float(match[1]) * _SECONDS[match[2]])
        elif text is not None:
            mistakes.append(Mistake(place, "custom.ztag.ttl is no duration", _REMEDY))
    if mistakes:
        raise PolicyError(tuple(dict.fromkeys(mistakes)))
    return longest


def _stated(note: Value) -> dict[Value, Value]:
    """Return `custom.ztag`, nothing where it is not there."""
    for name in ("custom", "ztag"):
        note = note.get(name) if isinstance(note, dict) else None
    return note if isinstance(note, dict) else {}
