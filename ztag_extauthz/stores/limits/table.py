"""The kernel of all limits: one int64 a key in a table of fixed size, exact over all processes that map it.

Every kind of limit is the same sum. A cell holds a time in nanoseconds that charges push into the future:

    value = max(cell, floor) + amount         allowed where  value - floor <= ceiling

    rate and burst (GCRA)   floor = now                  amount = ns between two requests   ceiling = burst * amount
    quota of a window       floor = end of the window    amount = 1 ns                      ceiling = quota * 1 ns

A cell that is not later than now says nothing any more: its place is free, and nothing has to clean up.

Rule 1: a charge is a compare-and-swap of the cell, so none is lost and none is counted twice.
Rule 2: only who holds the bucket's lock writes a tag; so a key is in one place at most.
Rule 3: a charge looks at the tag again after its swap; if the place was given away between, it takes the charge back.
Rule 4: what fails leaves nothing behind: no limit is charged unless every limit allows.
Rule 5: a cell from a time that is still to come is one of a clock that was set back. It would refuse until then, so it
is brought back: of a burst, one request is left; a window's count stays what it was.

`table` is int64: counters, locks, then buckets of eight tags and eight cells (two cache lines). `plan` is int64, a row
a limit; both are laid out in `plan`.
"""

from ztag_extauthz.stores.kernels import Cells, add, inlined, kernel, load, store, swap
from ztag_extauthz.stores.limits.plan import (
    ALLOWED,
    AMOUNT,
    ASK,
    BUCKETS,
    CEILING,
    DENIED,
    ENDS,
    EVICTIONS,
    LEFT,
    LOCK_MASK,
    LOCKS,
    PERMITS,
    REFUSED,
    SHADOW,
    TAG,
    WAIT,
    WIDTH,
    WINDOW,
)

PATIENCE = 50_000_000
"""Rounds of some nanoseconds after which a lock's holder is taken for dead (killed within ten instructions)."""
GONE = -1
STEP = 250_000_000
"""ns by which a cell may be ahead before a clock was set back: processes do not read it at the same instant."""


@inlined
def _bucket(table: Cells, tag: int) -> int:
    count = (table.size - BUCKETS) // (2 * WIDTH)
    return BUCKETS + (tag & (count - 1)) * (2 * WIDTH)


@inlined
def find(table: Cells, tag: int) -> int:
    first = _bucket(table, tag)
    for place in range(first, first + WIDTH):
        if load(table, place) == tag:
            return place
    return GONE


@inlined
def _lock(table: Cells, tag: int) -> int:
    place = LOCKS + (tag & LOCK_MASK)
    rounds = 0
    while not swap(table, place, 0, 1):
        rounds += 1
        if rounds > PATIENCE:
            break
    return place


@inlined
def claim(table: Cells, tag: int, now: int) -> int:
    """Return the tag's place; a new one is the place whose cell is oldest."""
    lock = _lock(table, tag)
    place = find(table, tag)
    if place == GONE:
        first = _bucket(table, tag)
        place = first
        for other in range(first + 1, first + WIDTH):
            if load(table, other + WIDTH) < load(table, place + WIDTH):
                place = other
        store(table, place, tag)
        if load(table, place + WIDTH) > now:
            add(table, EVICTIONS, 1)
            store(table, place + WIDTH, 0)
    store(table, lock, 0)
    return place


@inlined
def _floor(now: int, window: int) -> int:
    if window == 0:
        return now
    return (now // window + 1) * window


@inlined
def _is_ahead(plan: Cells, row: int, cell: int, floor: int, now: int) -> bool:
    over: int = cell - floor - plan[row, CEILING]
    return over > STEP if plan[row, WINDOW] == 0 else over > 0 and floor - now > STEP


@inlined
def _read(table: Cells, plan: Cells, row: int, place: int, now: int) -> int:
    """Return a limit's cell; Rule 5."""
    cell = load(table, place + WIDTH)
    floor = _floor(now, plan[row, WINDOW])
    if not _is_ahead(plan, row, cell, floor, now):
        return cell
    used = plan[row, CEILING] - plan[row, AMOUNT] if plan[row, WINDOW] == 0 else cell % plan[row, WINDOW]
    if load(table, place) == plan[row, TAG]:
        swap(table, place + WIDTH, cell, floor + used)
    return load(table, place + WIDTH)


@inlined
def _judge(plan: Cells, row: int, cell: int, now: int) -> int:
    """Return what the cell becomes; fill in the answer."""
    floor = _floor(now, plan[row, WINDOW])
    value: int = max(cell, floor) + plan[row, AMOUNT]
    over = value - floor - plan[row, CEILING]
    plan[row, DENIED] = 1 if over > 0 else 0
    plan[row, WAIT] = 0
    if over > 0:
        plan[row, WAIT] = over if plan[row, WINDOW] == 0 else floor - now
    plan[row, LEFT] = max(0, -over) // plan[row, AMOUNT]
    return value


@inlined
def _peek(table: Cells, plan: Cells, row: int, now: int) -> None:
    place = find(table, plan[row, TAG])
    _judge(plan, row, 0 if place == GONE else _read(table, plan, row, place, now), now)


@inlined
def _charge(table: Cells, plan: Cells, row: int, now: int) -> bool:
    """Charge one limit; return whether it allowed it."""
    tag = plan[row, TAG]
    place = find(table, tag)
    while True:
        if place == GONE:
            place = claim(table, tag, now)
        cell = _read(table, plan, row, place, now)
        value = _judge(plan, row, cell, now)
        if load(table, place) == tag:
            if plan[row, DENIED]:
                return False
            if swap(table, place + WIDTH, cell, value):
                if load(table, place) == tag:
                    return True
                add(table, place + WIDTH, cell - value)
        place = find(table, tag)


@inlined
def _refund(table: Cells, plan: Cells, row: int) -> None:
    place = find(table, plan[row, TAG])
    if place != GONE:
        add(table, place + WIDTH, -plan[row, AMOUNT])


@inlined
def _take(table: Cells, plan: Cells, now: int) -> int:
    worst = ALLOWED
    for row in range(plan.shape[0]):
        _peek(table, plan, row, now)
        if plan[row, DENIED] and not plan[row, SHADOW] and (worst < 0 or plan[row, WAIT] > plan[worst, WAIT]):
            worst = row
    if worst != ALLOWED:
        return worst
    for row in range(plan.shape[0]):
        if not _charge(table, plan, row, now) and not plan[row, SHADOW]:
            for earlier in range(row):
                if not plan[earlier, DENIED]:
                    _refund(table, plan, earlier)
            return row
    return ALLOWED


@kernel("int64(int64[::1], int64[:, ::1], int64)")
def take(table: Cells, plan: Cells, now: int) -> int:
    """Charge every limit of the plan, or none; return the row that says no for longest, or `ALLOWED`."""
    return _take(table, plan, now)


@kernel("void(int64[::1], int64[:, ::1], int64[:, ::1], int64[::1], int64[::1])")
def take_many(table: Cells, plan: Cells, tags: Cells, times: Cells, answers: Cells) -> None:
    """`take` for a log: tags (requests, limits), times in ns, and a row or `ALLOWED` for each request."""
    for request in range(times.size):
        for row in range(plan.shape[0]):
            plan[row, TAG] = tags[request, row]
        answers[request] = _take(table, plan, times[request])


@inlined
def _lease(table: Cells, tag: int, now: int, longest: int) -> int:
    place = find(table, tag)
    cell = 0 if place == GONE else load(table, place + WIDTH)
    return cell if now < cell & ENDS <= now + longest + STEP else 0


@inlined
def _spend_one(table: Cells, tag: int, now: int) -> bool:
    place = find(table, tag)
    while place != GONE:
        cell = load(table, place + WIDTH)
        if cell & ENDS <= now or cell & PERMITS == 0:
            return False
        if load(table, place) == tag and swap(table, place + WIDTH, cell, cell - 1):
            return True
        place = find(table, tag)
    return False


@kernel("int64(int64[::1], int64[:, ::1], int64, int64)")
def spend(table: Cells, plan: Cells, now: int, longest: int) -> int:
    """Spend a leased permit of every limit; return `ALLOWED`, the row that was refused before, or `ASK`.

    `longest` is the ns that a lease or a refusal can last: one that lasts longer is of a clock that was set back.
    """
    answer = ALLOWED
    for row in range(plan.shape[0]):
        cell = _lease(table, plan[row, TAG], now, longest)
        plan[row, DENIED] = 1 if cell & REFUSED else 0
        plan[row, WAIT] = (cell & ENDS) - now
        if plan[row, DENIED] and not plan[row, SHADOW]:
            return row
        if not plan[row, DENIED] and cell & PERMITS == 0:
            answer = ASK
    if answer == ASK:
        return ASK
    for row in range(plan.shape[0]):
        if not plan[row, DENIED] and not _spend_one(table, plan[row, TAG], now):
            return ASK
    return ALLOWED


@kernel("void(int64[::1], int64[:, ::1], int64)")
def settle(table: Cells, plan: Cells, now: int) -> None:
    """Keep what the replicas' store said: `LEFT` permits for `WAIT` ns, or a refusal for `WAIT` ns."""
    for row in range(plan.shape[0]):
        tag = plan[row, TAG]
        ends = (now + plan[row, WAIT]) & ENDS
        if ends <= now:
            continue
        while True:
            place = claim(table, tag, now)
            cell = load(table, place + WIDTH)
            kept = cell & PERMITS if cell & ENDS > now else 0
            value = ends | REFUSED if plan[row, DENIED] else ends | min(PERMITS, kept + plan[row, LEFT])
            if load(table, place) == tag and swap(table, place + WIDTH, cell, value):
                break
