"""`python -m loadtest.risk edges|logins|speed`: what the scorer finds, with thresholds fixed on earlier data."""

import argparse
import lzma
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loadtest.risk import figures, logins
from loadtest.risk.run import hashed, score, state
from ztag_extauthz.authorization.risk import kernel
from ztag_extauthz.authorization.risk.layout import BIAS, BYTES, HASHES, NUMBERS, SIGNALS, TOP
from ztag_extauthz.authorization.risk.model import Model

EDGES = "edge-stream-darpa-head.csv.xz"
ATTACKERS = ("naive", "vpn", "targeted")


def main() -> None:
    """Run one measurement, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=["edges", "logins", "speed"], help="left out: all")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("ZTAG_DATA", "data")), help="folder of the data sets"
    )
    options = parser.parse_args()
    measurements = {"edges": lambda: edges(options.data), "logins": login_stream, "speed": speed}
    for what in [options.what] if options.what else measurements:
        measurements[what]()


def edges(folder: Path) -> None:
    """Score a labelled stream of edges (DARPA 1998, the copy of the MIDAS authors) by bursts alone."""
    path = folder / EDGES
    if not path.exists():
        print(f"edges: skipped, there is no {path}")
        return
    with lzma.open(path, "rt") as file:
        source, target, minute, label = np.loadtxt(file, np.int64, delimiter=",", skiprows=1, unpack=True)
    keys = np.stack([hashed(source * 1_000_003 + target + 1, 1), hashed(source + 1, 2), hashed(target + 1, 3)], axis=1)
    times, scores = 1_800_000_000.0 + minute * 60.0, np.zeros(len(minute))
    seconds = _best(lambda: kernel.burst_many(*state()[1:], keys, times, scores))
    attack, half = label == 1, len(label) // 2
    print(
        f"edges: {len(label):,} events, {attack.mean():.1%} attacks, {seconds / len(label) * 1e9:.0f} ns an event (CPU)"
    )
    print(f"  later half: AUC {figures.auc(scores[half:], attack[half:]):.4f}")
    for rate in (0.01, 0.001):
        limit = figures.threshold(scores[:half][~attack[:half]], rate)
        caught, alarms = (figures.above(scores[half:][which[half:]], limit) for which in (attack, ~attack))
        print(
            f"  threshold at {rate:.1%} of the earlier half's benign: TPR {caught:.3f} at FPR {alarms:.2%} of the later"
        )
        limit = figures.threshold(scores[half:][~attack[half:]], rate)
        print(f"  at {rate:.1%} FPR of the later half: TPR {figures.above(scores[half:][attack[half:]], limit):.3f}")


def login_stream() -> None:
    """Score synthetic logins; the threshold is fixed on the second third, the last third is counted."""
    stream = logins.stream()
    day, benign = (stream.time - logins.START) / 86_400, stream.attacker == 0
    late, middle = day >= logins.DAYS * 2 / 3, (day >= logins.DAYS / 3) & (day < logins.DAYS * 2 / 3)
    first, _ = score(stream, 1.1, Model())
    limit = figures.threshold(first[benign & middle], 0.007)
    scores, _ = score(stream, limit, Model())
    print(
        f"logins (synthetic, {logins.USERS:,} users, {len(day):,} logins; users pass their step-ups, attackers do not):"
    )
    print(f"  step-ups of benign logins: {figures.above(scores[benign & late], limit):.2%}")
    for number, name in enumerate(ATTACKERS, 1):
        which = late & (stream.attacker == number)
        area = figures.auc(scores[which | (late & benign)], ~benign[which | (late & benign)])
        print(f"  {name:9} TPR {figures.above(scores[which], limit):.3f}  AUC {area:.4f}")


def speed() -> None:
    """Measure one call and the batch form with a million active users."""
    count, random = 1_000_000, np.random.default_rng(0)
    rows, facts = np.zeros((count, HASHES), np.int64), np.zeros((count, NUMBERS))
    who = random.permutation(count) + 1
    for column, values in enumerate((count, count, 3000, 100, 2000, 20, 8, 100, 500)):
        rows[:, column] = hashed(who % values + 1, column + 1)
    facts[:, 0] = 1_800_000_000.0 + np.arange(count) * 0.001
    memory, weights = state(), np.array(Model().row())
    ended, vouched = np.full(count, -1, np.int8), np.zeros(count, np.int8)
    signals, scores = np.zeros((count, BIAS)), np.zeros(count)
    run: Callable[[float], None] = lambda limit: kernel.observe_many(  # noqa: E731
        *memory, rows, facts, weights, ended, vouched, limit, signals, scores
    )
    seconds = _best(lambda: run(1.1))
    print(f"speed: {BYTES / 2**20:.0f} MiB of state, {count:,} active users, {len(SIGNALS)} signals")
    print(f"  batch, scored and learned: {count / seconds:,.0f} a second of CPU")
    row, fact, out = rows[0].copy(), facts[0].copy(), np.zeros(BIAS + TOP)
    taken = np.zeros(100_000, np.int64)
    for turn in range(len(taken)):
        row[:] = rows[turn]
        began = time.perf_counter_ns()
        kernel.observe(*memory, row, fact, weights, out)
        taken[turn] = time.perf_counter_ns() - began
    _print_percentiles("  one call of the kernel", taken)


def _print_percentiles(what: str, nanoseconds: NDArray[np.int64]) -> None:
    middle, late = np.percentile(nanoseconds, [50, 99]) / 1000
    print(f"{what}: p50 {middle:.1f} us, p99 {late:.1f} us")


def _best(run: Callable[[], None], turns: int = 3) -> float:
    """Return the least seconds of CPU: what else runs on the machine only adds to it."""
    best = float("inf")
    for _ in range(turns):
        began = time.process_time()
        run()
        best = min(best, time.process_time() - began)
    return best


if __name__ == "__main__":
    main()
