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

MAX_BYTES_OF: Final = 8 << 20
MAX_PARTS: Final = 4096
"""Bytes of parts; larger ones hardly come again, and are not kept."""
_ENTRY_OF_BYTES: Final = 600
"""What an entry costs beside its parts and the two values, which others hold, too."""
_MAX_ASKED: Final = 8192
"""Keys of which it is known that they were asked for."""


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


class RememberedOf:
    """Makes parts of two values once, and gives them again for these very values: told apart by `id`, which is quick.

    They are kept from the second time on, since most of what is asked once never is again. An entry holds its values,
    so that an `id` that is found is still theirs. Of two generations the older is dropped when the younger is full.
    """

    def __init__(self, make: Callable[[Any, Any], list[bytes]], max_bytes: int = MAX_BYTES_OF) -> None:
        self._make = make
        self._max_young = max_bytes // 2
        self._young: dict[tuple[int, int], tuple[Any, Any, list[bytes]]] = {}
        self._old: dict[tuple[int, int], tuple[Any, Any, list[bytes]]] = {}
        self._young_bytes = 0
        self._asked: set[int] = set()

    def __call__(self, one: object, other: object) -> list[bytes]:
        """Return `make(one, other)`."""
        found = self._young.get((id(one), id(other)))
        return found[2] if found else self._recall(one, other)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def _recall(self, one: object, other: object) -> list[bytes]:
        key = (id(one), id(other))
        entry = self._old.pop(key, None)
        if entry is None:
            entry = (one, other, self._make(one, other))
            if not self._was_asked(key):
                return entry[2]
        size = sum(map(len, entry[2]))
        if size <= MAX_PARTS:
            self._young_bytes += size + _ENTRY_OF_BYTES
            if self._young_bytes > self._max_young:
                self._old, self._young, self._young_bytes = self._young, {}, size + _ENTRY_OF_BYTES
            self._young[key] = entry
        return entry[2]

    def _was_asked(self, key: tuple[int, int]) -> bool:
        """Tell whether a key was asked for lately, and note it; a value that is gone may have had the same."""
        if len(self._asked) >= _MAX_ASKED:
            self._asked.clear()
        before = len(self._asked)
        self._asked.add(hash(key))
        return len(self._asked) == before


def _texts(thing: Any) -> Iterable[str | bytes]:
    if isinstance(thing, str | bytes):
        yield thing
    else:
        for member in thing:
            yield from _texts(member)
