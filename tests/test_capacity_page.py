"""docs/capacity.md says what `python -m loadtest.capacity` makes of the last load test; its arithmetic makes sense."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from loadtest.capacity.__main__ import PAGE, WORLD, made, rewritten
from loadtest.capacity.regions import WAYS, failover, loads, staleness
from loadtest.capacity.sizing import LOADS, Assumed, Costs, Load, measured, sized
from loadtest.capacity.tables import costs_table

TEXT = PAGE.read_text()
COSTS = Costs(remembered=100, evaluated=150, new=350, typical=140)
SMALL = structs.replace(WORLD, rate=300.0, ends=12.0, forgettings=300)


@pytest.fixture(scope="module")
def parts() -> tuple[dict[str, str], dict[str, str]]:
    return made(measured(), Assumed())


def test_the_page_is_up_to_date(parts: tuple[dict[str, str], dict[str, str]]) -> None:
    """If not: `make docs`."""
    tables, drawings = parts
    assert set(re.findall(r"<!-- ([a-z]+): begin -->", TEXT)) == tables.keys()
    assert rewritten(TEXT, tables) == TEXT
    for name, picture in drawings.items():
        assert (PAGE.parent / name).read_text() == picture
        assert f"({name})" in TEXT


def test_what_a_report_lacks_is_marked_as_assumed() -> None:
    assert "| 95%, assumed |" in costs_table(COSTS)
    assert "| 96% |" in costs_table(structs.replace(COSTS, hits=0.96))


@given(st.floats(1, 1e6), st.floats(1, 1e6), st.integers(1, 8))
def test_more_requests_never_take_less(one: float, other: float, workers: int) -> None:
    low, high = (sized(Load("", mean, 3.0, workers), COSTS, Assumed()) for mean in sorted((one, other)))
    assert low.replicas <= high.replicas
    assert low.cpu <= high.cpu
    assert low.redis.shards <= high.redis.shards


def test_a_replica_may_fail_in_the_highest_second() -> None:
    for size in (sized(load, COSTS, Assumed()) for load in LOADS):
        assert size.cpu / ((size.replicas - 1) * size.load.workers) <= 0.5
        assert size.cpu <= size.cores * size.replicas


def test_nobody_forgets_before_it_hears() -> None:
    heard = staleness(SMALL)
    assert heard["the same region"].max() <= SMALL.interval + SMALL.redis
    assert heard["the other regions"].min() >= WAYS[WAYS > 0].min()
    assert all(low <= high for low, high in pairwise(np.quantile(times, 0.99) for times in heard.values()))


def test_a_failing_region_burdens_those_that_it_is_sent_to() -> None:
    run = failover(COSTS, SMALL, {"us": 1.0, "eu": 0.0})
    begins, ends = int(SMALL.fails + SMALL.notices), int(SMALL.ends)
    before, after = (loads(run["us"], SMALL)[part].mean() for part in (slice(0, int(SMALL.fails)), slice(begins, ends)))
    assert after > 1.8 * before
    assert not (run["eu"].asked.distance > 0).any()
    assert (run["us"].added >= run["us"].asked.distance).all()
    assert (run["us"].level[run["us"].asked.distance > 0] == 2).mean() > (run["us"].level == 2).mean()


def test_the_same_seed_gives_the_same_world() -> None:
    one, other = (failover(COSTS, SMALL, {"us": 0.5})["us"].added for _ in range(2))
    assert (one == other).all()
