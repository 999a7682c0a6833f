"""The kernel of concurrency limits: every place of a key is a cell of `table`, and holds when it is free again.

A cell that is not later than now is free, as in `table`; so a place that nobody gives back comes back by itself. So is
one that is later than a place can be held: it was taken before the clock was set back.

Rule 1: a place is taken by a compare-and-swap from a time that is over, so no place is taken twice.
Rule 2: it is given back by a compare-and-swap from the very time that was written: once, by whoever took it, and
never from whoever took it afterwards.
"""

from ztag_extauthz.stores.kernels import Cells, inlined, kernel, load, swap
from ztag_extauthz.stores.limits.plan import ALLOWED, DENIED, HELD, LONGEST, PLACES, SHADOW, TAG, UNTIL, WIDTH
from ztag_extauthz.stores.limits.table import GONE, STEP, claim, find

STRIDE = 0x1E37_79B9_7F4A_7C15
"""Odd, so that the places of a key are in buckets of their own."""
POSITIVE = 0x7FFF_FFFF_FFFF_FFFF


@inlined
def _drop(table: Cells, held: int, until: int) -> bool:
    place = find(table, held)
    return place != GONE and swap(table, place + WIDTH, until, 0)


@inlined
def _take(table: Cells, tag: int, now: int, until: int) -> bool:
    """Take the place of this tag, if it is free."""
    place = find(table, tag)
    if place == GONE:
        place = claim(table, tag, now)
    cell = load(table, place + WIDTH)
    if now < cell <= until + STEP or load(table, place) != tag or not swap(table, place + WIDTH, cell, until):
        return False
    if load(table, place) == tag:
        return True
    swap(table, place + WIDTH, until, 0)
    return False


@inlined
def _hold(table: Cells, plan: Cells, row: int, now: int) -> bool:
    """Take any place; the search begins anywhere, so that it meets few that are taken while some are free."""
    places, until = plan[row, PLACES], now + plan[row, LONGEST]
    first = (now >> 10) % places
    plan[row, HELD] = plan[row, UNTIL] = 0
    for step in range(places):
        tag = (plan[row, TAG] + ((first + step) % places) * STRIDE) & POSITIVE
        if _take(table, tag, now, until):
            plan[row, HELD], plan[row, UNTIL] = tag, until
            return True
    return False


@kernel("int64(int64[::1], int64[:, ::1], int64)")
def hold(table: Cells, plan: Cells, now: int) -> int:
    """Take a place of every limit of the plan, or none; return the row that has none left, or `ALLOWED`."""
    for row in range(plan.shape[0]):
        plan[row, DENIED] = 0 if _hold(table, plan, row, now) else 1
        if plan[row, DENIED] and not plan[row, SHADOW]:
            for earlier in range(row):
                _drop(table, plan[earlier, HELD], plan[earlier, UNTIL])
            return row
    return ALLOWED


@kernel("boolean(int64[::1], int64, int64)")
def drop(table: Cells, held: int, until: int) -> bool:
    """Give a place back; return whether it was still held."""
    return _drop(table, held, until)
