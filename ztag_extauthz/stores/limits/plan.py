"""The layout of the limits' table and of a plan: what the kernels and those who call them agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from ztag_extauthz.stores.limits.rate import Rate

TAG, WINDOW, AMOUNT, CEILING, SHADOW, DENIED, WAIT, LEFT = range(8)
"""A plan's columns. In: 63 bits of the key's hash, ns of the window (0: GCRA), amount, ceiling, 1 for a limit that only
looks. Out: 1 if this limit says no, ns until it says yes, requests left."""
COLUMNS = 8
PLACES, LONGEST, HELD, UNTIL = 1, 2, 3, 6
"""Where a plan's rows are concurrency limits. In: places, ns after which one is free again. Out: the tag of the place
that was taken, and the time in ns that its cell holds."""
ALLOWED = -1
"""What `take` returns instead of the row that says no."""
ASK = -2
"""What `spend` returns where a lease has no permit left."""

EVICTIONS = 0
"""Counter of the table: cells in use that had to make room."""
SEED = 8
"""Four words of the table: the key of the hash."""
LOCKS = 16
LOCK_MASK = 1023
BUCKETS = LOCKS + LOCK_MASK + 1
WIDTH = 8

PERMITS = (1 << 16) - 1
"""A lease's cell: the time it ends in ns, whose lowest 17 bits hold permits, and one bit for "refused until then"."""
REFUSED = 1 << 16
ENDS = ~(PERMITS | REFUSED)


def words(keys: int) -> int:
    """Return the length of a table in whose buckets so many live keys leave half of the places free."""
    buckets = 1 << max(4, (max(1, keys * 2 // WIDTH) - 1).bit_length())
    return BUCKETS + buckets * 2 * WIDTH


def plan_of(rates: Sequence[Rate], shadows: Sequence[bool]) -> np.ndarray:
    """Return a plan (limits, columns) without its tags."""
    import numpy as np  # noqa: PLC0415 - heavy, and only needed where limits are set

    return np.array(
        [[0, one.window, one.amount, one.ceiling, shadow, 0, 0, 0] for one, shadow in zip(rates, shadows, strict=True)],
        np.int64,
    )
