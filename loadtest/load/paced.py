"""Servers over gRPC at constant rates: an open loop, in which latency counts from when a request was due."""

import select
import time
from collections.abc import Sequence
from statistics import median, quantiles
from typing import Final

from loadtest.generator import Connection, LostConnectionError, Result
from loadtest.load.part import Part
from loadtest.report.figures import CONSTANT, GRPCIO, PLUGIN, ZTAG, Half, Paced
from loadtest.servers import Target
from ztag_extauthz.server.service import CHECK

RATES: Final = (500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16_000.0)
KEPT_UP: Final = 0.9
"""A server that answered less than this part of a rate in time is not asked at a higher one."""
GRACE: Final = 2.0
"""Seconds after the last request was due until what is not answered has failed."""


class OpenLoop(Connection):
    """One connection on which requests are due at a constant rate, however many are under way."""

    def pace(self, rate: float, seconds: float) -> tuple[Result, list[float]]:
        """Return what came of the requests, and how late each was sent."""
        total, sent, late = int(rate * seconds), 0, list[float]()
        began = time.perf_counter()
        while len(self._latencies) < total and (passed := time.perf_counter() - began) < seconds + GRACE:
            due = min(total, int(passed * rate) + 1)
            fresh = [began + number / rate for number in range(sent, due)]
            late += [began + passed - then for then in fresh[: self._send_due(fresh)]]
            sent = len(late)
            until = began + min(sent / rate, seconds + GRACE) - time.perf_counter()
            if select.select([self._socket], [], [], max(0.0, until))[0]:
                self._receive()
        answered = len(self._latencies) - self._failed
        lost = [time.perf_counter() - began - number / rate for number in range(len(self._latencies), total)]
        spent = max(seconds, time.perf_counter() - began)
        return Result(answered, total - answered, spent, (*self._latencies, *lost)), late

    def _send_due(self, dues: Sequence[float]) -> int:
        """Send as many as the server's window takes; return how many."""
        out: list[bytes] = []
        for due in dues:
            template = self._templates[(self._next >> 1) % len(self._templates)]
            if template.window > self._window:
                break
            self._window -= template.window
            out.append(template.on(self._next))
            self._started[self._next] = due
            self._next += 2
        if out:
            self._socket.sendall(b"".join(out))
        return len(out)


def run(target: Target, messages: Sequence[bytes], rate: float, seconds: float) -> Paced:
    """Ask one server at a rate, on a connection of its own."""
    loop = OpenLoop(target.address, messages, CHECK)
    try:
        result, late = loop.pace(rate, seconds)
    except (LostConnectionError, OSError) as error:
        raise LostConnectionError(f"{target.name} at {rate:,.0f} a second") from error
    finally:
        loop.close()
    cuts = quantiles(result.latencies, n=100)
    sent = quantiles(late, n=100)[98]
    return Paced(target.name, rate, result.answered / result.seconds, cuts[49], cuts[98], sent, result.failed)


def paced(part: Part) -> Sequence[Paced]:
    """Ask every server at ever higher rates, as long as it keeps up."""
    rows: list[Paced] = []
    targets = list(part.only(PLUGIN, ZTAG, GRPCIO, CONSTANT))
    for target in targets:
        target.warm(part.requests)
    for rate in RATES:
        runs: dict[str, list[Paced]] = {target.name: [] for target in targets}
        for _ in part.shown(range(part.rounds), f"direct at {rate:,.0f} a second"):
            for target in targets:
                runs[target.name].append(run(target, part.load.messages, rate, part.seconds / 2))
        found = [_middle(runs[target.name]) for target in targets]
        rows += found
        targets = [one for one, row in zip(targets, found, strict=True) if row.rate >= KEPT_UP * rate]
    return rows


def half(part: Part) -> Sequence[Half]:
    """Ask ztag and the plugin at half of what each answers as fast as it can."""
    targets = part.only(PLUGIN, ZTAG)
    for target in targets:
        target.warm(part.requests)
    rates: dict[str, list[float]] = {target.name: [] for target in targets}
    for _ in part.shown(range(part.rounds), "saturation"):
        for target in targets:
            rates[target.name].append(_saturation(target, part))
    most = {name: median(found) for name, found in rates.items()}
    runs: dict[str, list[Paced]] = {target.name: [] for target in targets}
    for _ in part.shown(range(part.rounds), "at half of its own saturation"):
        for target in targets:
            runs[target.name].append(run(target, part.load.messages, most[target.name] / 2, part.seconds))
    base = runs.get(PLUGIN)
    return [_half(most[name], mine, base) for name, mine in runs.items()]


def _saturation(target: Target, part: Part) -> float:
    """Return how many a second a server answers for as long as it is then asked at half of that rate."""
    began, answered = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < part.seconds:
        answered += target.ask(part.requests).answered
    target.forget()
    return answered / passed


def _half(most: float, runs: Sequence[Paced], base: Sequence[Paced] | None) -> Half:
    middle = _middle(runs)
    ratio = median(mine.p99 / its.p99 for mine, its in zip(runs, base, strict=True)) if base else None
    return Half(middle.server, most, middle.p50, middle.p99, ratio, middle.failed)


def _middle(runs: Sequence[Paced]) -> Paced:
    names = ("due", "rate", "p50", "p99", "late")
    values = {name: median(getattr(run, name) for run in runs) for name in names}
    return Paced(runs[0].server, **values, failed=sum(run.failed for run in runs))
