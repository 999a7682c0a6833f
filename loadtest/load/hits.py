"""How soon the policy's answers are remembered, on a trace by Zipf's law, as ztag's own metrics tell."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from loadtest.generator import Connection
from loadtest.load.node import node
from loadtest.load.part import Part
from loadtest.load.traces import Traces
from loadtest.report.figures import Hits
from loadtest.servers import CONCURRENCY
from ztag_extauthz.server.service import CHECK

WINDOWS, WINDOW = 100, 4000
"""Enough that an exact memory of everything would have met its goal half-way."""
ROOM: Final = {"entries": 1 << 16, "entry_bytes": 256, "ttl": 3600}
"""As many answers as 1,000 users and 50 paths have."""


def hits(part: Part) -> Sequence[Hits]:
    """Ask one worker that begins cold; one row for each window."""
    rows: list[Hits] = []
    traces = Traces(part.load.issuer, WINDOW)
    with node(part.load, cache=ROOM) as running:
        connection = Connection(running.addresses[0], part.load.messages[:1], CHECK)
        before, began = running.lookups(), time.monotonic()
        for number in part.shown(range(1, WINDOWS + 1), "hits"):
            connection.exchange(traces.zipf(), CHECK)
            result = connection.run(WINDOW, CONCURRENCY)
            now = running.lookups()
            rows.append(_row(number, time.monotonic() - began, now - before, result.failed))
            before = now
        connection.close()
    return rows


def _row(number: int, seconds: float, found: Counter[str], failed: int) -> Hits:
    worker, shared, missed = (found[name] / WINDOW for name in ("worker", "node", "miss"))
    if number == 1 and not missed:
        raise RuntimeError("the policy was not asked")
    other = max(0.0, 1 - worker - shared - missed - failed / WINDOW)
    return Hits(number * WINDOW, seconds, worker, shared, other, failed)
