"""Seeds by what they reach: inputs that run lines of the package which no good input, nor an earlier one, runs.

    python -m loadtest.fuzz.gather [--seconds 20] [--most 8] [--only NAME …]

What reaches a new line is changed further, so that the next is reached from there. A few that together reach the most
are kept in `seeds/`, where every run begins with them.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

import ztag_extauthz
from loadtest.fuzz.mutator import Mutator
from loadtest.fuzz.runner import keep, seeds, targets
from loadtest.fuzz.target import Target

LARGEST: Final = 4096
"""Bytes of a seed."""
_PACKAGE: Final = str(Path(ztag_extauthz.__file__).parent)
Lines = frozenset[tuple[object, int]]


def reached(take: Callable[[bytes], object], given: bytes) -> Lines:
    """Return the lines of the package that an input runs."""
    lines: set[tuple[object, int]] = set()

    def line(frame: FrameType, _: str, __: object) -> Any:
        lines.add((frame.f_code, frame.f_lineno))
        return line

    def call(frame: FrameType, _: str, __: object) -> Any:
        return line if frame.f_code.co_filename.startswith(_PACKAGE) else None

    sys.settrace(call)
    try:
        with suppress(Exception):  # the fuzzer tells which are findings
            take(given)
    finally:
        sys.settrace(None)
    return frozenset(lines)


def gather(name: str, target: Target, seconds: float) -> Mapping[bytes, Lines]:
    """Return inputs that reached lines of their own, with these; in the order in which they were found."""
    corpus = [*target.corpus, *seeds(name)]
    seen: Lines = frozenset().union(*(reached(target.take, given) for given in corpus))
    found: dict[bytes, Lines] = {}
    mutator = Mutator(corpus, target.words, seed=len(name))
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        given = mutator.next()
        new = reached(target.take, given) - seen if len(given) <= LARGEST else frozenset()
        if new:
            found[given] = new
            seen |= new
            corpus.append(given)
    return found


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each target")
    parser.add_argument("--most", type=int, default=8, help="seeds of each target")
    parser.add_argument("--only", nargs="*", default=[])
    given = parser.parse_args()
    for build in targets():
        name = build.__name__
        if not given.only or name in given.only:
            with tempfile.TemporaryDirectory() as folder:
                found = gather(name, build(Path(folder)), given.seconds)
            best = sorted(found, key=lambda one: len(found[one]), reverse=True)[: given.most]
            lines = sum(len(found[one]) for one in best)
            print(f"{name}: {len(found)} found, {len(best)} kept in {[keep(name, one) for one in best]}: {lines} lines")


if __name__ == "__main__":
    asyncio.run(main())
