from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.meter import BOUNDS, CELLS, METRICS, SERIES, Meter, add_up


def samples(*rows: list[float]) -> dict[tuple[str, ...], list[float]]:
    return {(sample.name, *sample.labels.values()): list(sample.cells) for sample in add_up(rows)}


def test_every_series_has_cells_of_its_own() -> None:
    places = sorted((first, METRICS[name].width) for (name, _), first in SERIES.items())
    assert places[0][0] == 0
    assert all(first + width == following for (first, width), (following, _) in pairwise(places))
    assert sum(places[-1]) == CELLS


def test_every_metric_says_what_it_means() -> None:
    for name, metric in METRICS.items():
        assert name.startswith("ztag_")
        assert metric.help.endswith(".")
        assert (metric.kind == "histogram") == name.endswith("_seconds")


def test_counts() -> None:
    cells = [0.0] * CELLS
    meter = Meter(cells)
    shed = meter.series("ztag_shed")
    meter.add(shed)
    meter.add(shed, 2)
    meter.add(meter.series("ztag_in_flight"), -1)
    assert samples(cells)["ztag_shed",] == [3]
    assert samples(cells)["ztag_in_flight",] == [-1]


@given(st.lists(st.floats(0, 10), max_size=20))
def test_observes_into_the_bucket_of_the_first_bound_that_is_not_smaller(seconds: list[float]) -> None:
    cells = [0.0] * CELLS
    meter = Meter(cells)
    series = meter.series("ztag_check_seconds")
    for value in seconds:
        meter.observe(series, value)
    *buckets, total = samples(cells)["ztag_check_seconds",]
    assert len(buckets) == len(BOUNDS) + 1
    for bound, seen in zip(BOUNDS, (sum(buckets[: place + 1]) for place in range(len(BOUNDS))), strict=True):
        assert seen == sum(value <= bound for value in seconds)
    assert sum(buckets) == len(seconds)
    assert total == pytest.approx(sum(seconds))


def test_a_scrape_adds_up_the_workers() -> None:
    rows = [[0.0] * CELLS for _ in range(3)]
    for row in rows:
        meter = Meter(row)
        meter.add(meter.series("ztag_reloads", "ok"))
        meter.observe(meter.series("ztag_stage_seconds", "admission"), 2.0)
    assert samples(*rows)["ztag_reloads", "ok"] == [3]
    assert samples(*rows)["ztag_stage_seconds", "admission"][-2:] == [3, 6]


def test_series_with_labels_appear_when_they_are_counted() -> None:
    names = {sample.name for sample in add_up([[0.0] * CELLS])}
    assert names == {name for name, metric in METRICS.items() if not metric.labels}


def test_never_6_nothing_that_a_caller_sends_can_be_a_label() -> None:
    for labels in (("alice",), ("ok", "x"), ()):
        with pytest.raises(KeyError):
            Meter.series("ztag_reloads", *labels)


def test_a_meter_without_shared_memory_counts_for_itself() -> None:
    meter = Meter()
    meter.add(meter.series("ztag_shed"))
    assert meter.series("ztag_shed") == SERIES["ztag_shed", ()]
