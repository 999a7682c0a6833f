"""Large work in a thread, while the event loop goes on answering: nothing may hold the interpreter's lock for long.

What holds it for long is C code over a large document: parsing it in one call, freeing it in one go, and the garbage
collector's look through all of it. So documents are parsed and freed piece by piece, and the collector is kept away.
"""

import gc
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from json.decoder import scanstring  # type: ignore[attr-defined]  # not in its stubs
from threading import Lock, Thread
from typing import Any, Final, NoReturn

from ztag_extauthz.rego.values import Number

SWITCH: Final = 0.0005
"""Seconds after which a thread that computes lets the event loop go on; Python's own 0.005 would cost each answer."""
LEVELS: Final = 3
"""Levels of a document whose members are taken one by one: `users`, each user, and what each user has."""
LARGE: Final = 1 << 18
"""Characters of a document that is worth it: C code parses them in about a millisecond."""

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_lock = Lock()
_under_way = 0


@contextmanager
def beside() -> Iterator[None]:
    """Let others go on while this thread computes; the garbage collector waits until all are done."""
    global _under_way  # noqa: PLW0603 - as are the two that it counts for
    with _lock:
        _under_way += 1
        gc.disable()
        sys.setswitchinterval(SWITCH)
    try:
        yield
    finally:
        with _lock:
            _under_way -= 1
            if not _under_way:
                # What was made stays, and there is much of it: the collector shall not look through it again.
                gc.freeze()
                gc.enable()
                sys.setswitchinterval(0.005)


def loads(text: str) -> Any:
    """Parse JSON into values of Rego. Raises `ValueError`, `RecursionError`."""
    if len(text) < LARGE:
        return _DECODER.decode(text)
    value, end = _value(text, _after_space(text, 0), LEVELS)
    if end != len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return value


def _value(text: str, at: int, levels: int) -> tuple[Any, int]:
    """Return the value that begins there, and where the next token does."""
    value: Any
    if levels and text.startswith("{", at):
        value, at = _object(text, at + 1, levels - 1)
    elif levels and text.startswith("[", at):
        value, at = _array(text, at + 1, levels - 1)
    else:
        try:
            value, at = _DECODER.scan_once(text, at)  # type: ignore[attr-defined]  # not in its stubs
        except StopIteration as error:
            raise json.JSONDecodeError("Expecting value", text, error.value) from None
    return value, _after_space(text, at)


def _object(text: str, at: int, levels: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    at = _after_space(text, at)
    if text.startswith("}", at):
        return found, at + 1
    while True:
        if not text.startswith('"', at):
            raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
        name, at = scanstring(text, at + 1, True)  # noqa: FBT003 - C code without names
        at = _expect(text, _after_space(text, at), ":")
        found[name], at = _value(text, at, levels)
        if text.startswith("}", at):
            return found, at + 1
        at = _expect(text, at, ",")


def _array(text: str, at: int, levels: int) -> tuple[list[Any], int]:
    found: list[Any] = []
    at = _after_space(text, at)
    if text.startswith("]", at):
        return found, at + 1
    while True:
        member, at = _value(text, at, levels)
        found.append(member)
        if text.startswith("]", at):
            return found, at + 1
        at = _expect(text, at, ",")


def _expect(text: str, at: int, sign: str) -> int:
    if not text.startswith(sign, at):
        raise json.JSONDecodeError(f"Expecting {sign!r} delimiter", text, at)
    return _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"has {constant}, which is not JSON")


_DECODER: Final = json.JSONDecoder(parse_float=Number, parse_constant=_refuse)


def free_beside(owned: list[Any]) -> None:
    """Free what a list holds in a thread of its own."""
    Thread(target=free, args=(owned,), name="free", daemon=True).start()


def free(owned: list[Any], levels: int = LEVELS) -> None:
    """Free what a list holds, piece by piece; what somebody else still holds is left as it is."""
    while owned:
        value = owned.pop()
        if levels and value.__class__ in (dict, list) and len(value) > 1 and sys.getrefcount(value) == _OWN:
            members = list(value.values()) if value.__class__ is dict else list(value)
            value.clear()
            free(members, levels - 1)


def _references(owned: list[Any]) -> int:
    value = owned.pop()
    return sys.getrefcount(value)


_OWN: Final = _references([[]])
"""References to a value that only its variable and the question for their number refer to."""
