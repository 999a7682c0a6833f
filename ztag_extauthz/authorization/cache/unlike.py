"""What of `input` differs with every request, even where all that people would call the request is the same."""

from typing import TYPE_CHECKING, Final

from ztag_extauthz.again import UNLIKE_HEADERS
from ztag_extauthz.rego.frozen import InputPath

if TYPE_CHECKING:
    from ztag_extauthz.rego.reads import Reads

_HTTP: Final = ("attributes", "request", "http")
_UNLIKE: Final[tuple[InputPath, ...]] = (
    ("attributes", "request", "time"),
    (*_HTTP, "id"),
    (*_HTTP, "headers", "x-request-id"),
)
"""What no two requests have in common."""
_LEFT_OUT: Final[tuple[InputPath, ...]] = (
    *_UNLIKE,
    *((*_HTTP, "headers", name) for name in UNLIKE_HEADERS),
    (*_HTTP, "headerMap"),
    ("attributes", "source", "address", "socketAddress", "portValue"),
)
"""What `envoy/fingerprint.py` leaves out."""
_OF_A_REQUEST: Final = frozenset(
    ("attributes", "identity", "parsed_path", "parsed_query", "parsed_body", "truncated_body", "source_principal")
)


def is_unlike(path: InputPath) -> bool:
    """Tell whether what a path leads to is, or holds, what differs with every request."""
    return _overlaps(path, _UNLIKE)


def recurs(reads: "Reads") -> bool:
    """Tell whether requests of one fingerprint and one identity have one answer: no other kind's findings are read."""
    paths = reads.deep | reads.exists
    return all(path and path[0] in _OF_A_REQUEST and not _overlaps(path, _LEFT_OUT) for path in paths)


def _overlaps(path: InputPath, others: tuple[InputPath, ...]) -> bool:
    return any(path == other[: len(path)] or other == path[: len(other)] for other in others)
