"""The scorer's memory: one block of shared memory, and its snapshots on disk.

A snapshot is a compressed copy with a checksum, written beside and renamed: a crash leaves the old one or the new one.
It holds keyed hashes and counts, no names; the key of the hash is in it, so it is as secret as a log.
"""

from __future__ import annotations

import os
import secrets
import zlib
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING

from ztag_extauthz.authorization.risk.layout import BYTES, FLOATS, LONGS

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from ztag_extauthz.component import Memory

MAGIC = b"ztag risk 1\n"
SEED = 32
"""Four words of the longs: the key of the hash."""
_DIGEST = 32


class State:
    """The three views of the block, and the key of its hash."""

    def __init__(self, memory: Memory, initial: bytes = b"", seed: bytes = b"") -> None:
        """Begin with a snapshot, unless the key of its hash is not the one that is asked for."""
        import numpy as np  # noqa: PLC0415 - heavy, and only needed where risk is scored

        fresh = bytes(8 * SEED) + (seed or secrets.token_bytes(32))
        if seed and initial[8 * SEED : 8 * SEED + 32] != seed:
            initial = b""
        # Another key makes every hash another one: its block is another one too, where settings change on a reload.
        name = f"risk-{blake2b(seed, digest_size=4).hexdigest()}" if seed else "risk"
        self.block = memory(name, BYTES, initial or fresh)
        self.longs: np.ndarray = np.frombuffer(self.block, np.int64, LONGS)
        self.floats: np.ndarray = np.frombuffer(self.block, np.float32, FLOATS, LONGS * 8)
        self.ints: np.ndarray = self.floats.view(np.int32)
        self.seed = self.longs[SEED : SEED + 4].tobytes()


def write_snapshot(path: Path, state: State) -> None:
    """Write the state; raises `OSError`. What requests change meanwhile is in it or not, number by number."""
    packed = zlib.compress(state.block, 1)
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(MAGIC + blake2b(packed, digest_size=_DIGEST).digest() + packed)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def read_snapshot(path: Path) -> bytes:
    """Return what the snapshot holds, b"" where there is none.

    Raises `ValueError` for one that is damaged, and where none could be written.
    """
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(f"{path.parent} is no folder that can be written to")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return b""
    digest, packed = content[len(MAGIC) : len(MAGIC) + _DIGEST], content[len(MAGIC) + _DIGEST :]
    if not content.startswith(MAGIC) or blake2b(packed, digest_size=_DIGEST).digest() != digest:
        raise ValueError(f"{path} is damaged or of another version: remove it, and profiles begin anew")
    unpacker = zlib.decompressobj()
    unpacked = unpacker.decompress(packed, BYTES + 1)
    if len(unpacked) != BYTES:
        raise ValueError(f"{path} is of another layout: remove it, and profiles begin anew")
    return unpacked
