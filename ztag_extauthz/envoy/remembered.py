"""Encoded parts of answers that come again and again, within a number of bytes."""

from collections.abc import Callable, Iterable
from sys import getsizeof
from typing import Any, Final, Generic, TypeVar

Part = TypeVar("Part")

MAX_BYTES: Final = 1 << 20
MAX_TEXT: Final = 256
"""Characters of a text; longer ones hardly come again, and are not kept."""
_ENTRY_BYTES: Final = 400
"""What an entry costs beside its texts."""


class Remembered(Generic[Part]):
    """Makes a part of texts once, and gives it again. A full memory starts anew: whoever fills it costs time alone."""

    def __init__(self, make: Callable[..., Part], max_bytes: int = MAX_BYTES) -> None:
        self._make = make
        self._max_bytes = max_bytes
        self._parts: dict[tuple[Any, ...], Part] = {}
        self.held_bytes = 0

    def __call__(self, *key: Any) -> Part:
        """Return `make(*key)`; a key consists of texts and of tuples and sets of texts."""
        part = self._parts.get(key)
        if part is None:
            part = self._make(*key)
            self._keep(key, part)
        return part

    def _keep(self, key: tuple[Any, ...], part: Part) -> None:
        texts = list(_texts(key))
        if any(len(text) > MAX_TEXT for text in texts):
            return
        size = _ENTRY_BYTES + sum(getsizeof(text) + 64 for text in (*texts, *_texts(part)))
        if size > self._max_bytes:
            return
        if self.held_bytes + size > self._max_bytes:
            self._parts.clear()
            self.held_bytes = 0
        self._parts[key] = part
        self.held_bytes += size


def _texts(thing: Any) -> Iterable[str | bytes]:
    if isinstance(thing, str | bytes):
        yield thing
    else:
        for member in thing:
            yield from _texts(member)
