"""Keys and answers as bytes."""

from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import astuple, fields

from ztag_extauthz.model import Allow, Deny, Verdict

_UNUSED_IN_MSGPACK: Final = b"\xc1"


def pack(frozen: Any) -> bytes:
    """Return bytes that stand for a key and for no other."""
    try:
        return msgspec.msgpack.encode(frozen)
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can hold and UTF-8 cannot
        return _UNUSED_IN_MSGPACK + ascii(frozen).encode()


class Answer(Struct, frozen=True):
    """A verdict and its time."""

    verdict: Verdict
    made_at: float
    """Unix seconds: when its making began."""
    expires_at: float
    """Unix seconds: from then on it is none."""


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=dict)
"""A mapping that is no dictionary is written as one."""


def _decoder(kind: type[Struct]) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(tuple[float, float, tuple[tuple(field.type for field in fields(kind))]])  # type: ignore[misc]


_KINDS: Final[dict[int, tuple[type[Allow | Deny], msgspec.msgpack.Decoder[Any]]]] = {
    ord("A"): (Allow, _decoder(Allow)),
    ord("D"): (Deny, _decoder(Deny)),
}


def encode(answer: Answer) -> bytes | None:
    """Return bytes that `decode` makes the answer of; None where a text in it is none that bytes can hold."""
    kind = b"A" if isinstance(answer.verdict, Allow) else b"D"
    try:
        return kind + _ENCODER.encode((answer.made_at, answer.expires_at, astuple(answer.verdict)))
    except UnicodeEncodeError:
        return None


def decode(content: bytes) -> Answer | None:
    """Return the answer; None where the bytes are none."""
    kind, decoder = _KINDS.get(content[0], (None, None)) if content else (None, None)
    if kind is None or decoder is None:
        return None
    try:
        made_at, expires_at, verdict = decoder.decode(memoryview(content)[1:])
    except (msgspec.DecodeError, ValueError, RecursionError):  # ValueError: a text that is no UTF-8
        return None
    return Answer(kind(*verdict), made_at, expires_at)
