"""A key's place in shared memory: a keyed hash, since attackers choose keys.

BLAKE2b with a key of the node's own: nobody outside can find two keys that share a cell, which xxh3 would let them.
"""

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b

MASK = (1 << 63) - 1
REMEMBERED = 1 << 15


def hasher(seed: bytes) -> Callable[[str], int]:
    """Return text → an int of 63 bits, never 0; equal in all processes that use this seed (at most 64 bytes)."""
    begun = blake2b(digest_size=8, key=seed)

    @lru_cache(REMEMBERED)
    def digest(text: str) -> int:
        one = begun.copy()
        try:
            one.update(text.encode())
        except UnicodeEncodeError:  # half a surrogate pair
            one.update(text.encode("utf-8", "surrogatepass"))
        return int.from_bytes(one.digest(), "little") & MASK or 1

    return digest
