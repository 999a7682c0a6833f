"""What a stage said of a request, and how to see whether it holds for the next one that is like it.

Like it: all of Envoy's message is the same but what differs with every request, which no decision depends on
(`server/recurring.py`). A stage that does not say how its word is to be checked is asked each time.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from msgspec import Struct

from ztag_extauthz.model import Deny

UNLIKE_HEADERS: Final = (
    "x-request-id",
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-amzn-trace-id",
    "x-cloud-trace-context",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "uber-trace-id",
    "sw8",
    "grpc-trace-bin",
    "grpc-timeout",
)
"""Headers that differ with each request: its name, its place in a trace, the time that it has left. Who reads one of
them sees each request."""

Told: TypeAlias = Callable[[str, float, bytes], None]
"""Takes note of one more decision: its id, when (Unix seconds), Envoy's name for the request (digits, b"" for none)."""


def _always(_: float) -> bool:
    return True


class Again(Struct, frozen=True):
    """How to check what was said. Neither waits; what either raises has the request take its whole way."""

    holds: Callable[[float], bool] = _always
    """Whether it would be said once more, at a time in Unix seconds. Changes nothing: the whole way may ask again."""
    count: Callable[[float], Deny | Mapping[str, Any] | None] | None = None
    """Counts what saying it counts; a limit that is used up refuses, and facts may be found out anew. Called when all
    holds, in the order of the way."""
    learn: Told | None = None
    """Tells whoever learns that the request was answered; None where those who learn have to read each."""


ALWAYS: Final = Again()
"""What depends on the request alone."""


def _nothing(_: str, __: float, ___: bytes) -> None:
    """Do nothing."""


NOTHING: Final[Told] = _nothing
"""For who was told of one such decision, and needs no other."""
