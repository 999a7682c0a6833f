from ztag_extauthz.component import Readiness
from ztag_extauthz.meter import BOUNDS, CELLS, METRICS, Meter
from ztag_extauthz.server.crew import Member
from ztag_extauthz.server.engine import Place
from ztag_extauthz.server.exposition import render


def crew() -> list[Member]:
    members = [Member(number, Place(f"127.0.0.1:{9191 + number}", None, None)) for number in (0, 1)]
    members[0].components = (Readiness("keys", ready=True, updated_at=20.0),)
    members[1].components = (Readiness("keys", ready=False, updated_at=10.0),)
    for member in members:
        meter = Meter(member.cells)
        meter.add(meter.series("ztag_shed"), 2)
        meter.observe(meter.series("ztag_check_seconds"), 3e-5)
        meter.observe(meter.series("ztag_check_seconds"), 99.0)
    return members


def test_rows_are_added_up() -> None:
    own = [0.0] * CELLS
    own[Meter.series("ztag_reloads", "ok")] = 3.0
    body, content_type = render(crew(), own, "")
    lines = body.decode().splitlines()
    assert content_type.startswith("text/plain")
    for line in (
        "ztag_shed_total 4.0",
        'ztag_reloads_total{result="ok"} 3.0',
        'ztag_check_seconds_bucket{le="2.5e-05"} 0.0',
        f'ztag_check_seconds_bucket{{le="{BOUNDS[1]!r}"}} 2.0',
        'ztag_check_seconds_bucket{le="+Inf"} 4.0',
        "ztag_check_seconds_count 4.0",
    ):
        assert line in lines


def test_a_component_is_shown_as_the_worst_worker_sees_it() -> None:
    lines = render(crew(), [0.0] * CELLS, "")[0].decode().splitlines()
    assert 'ztag_component_ready{component="keys"} 0.0' in lines
    assert 'ztag_component_updated_timestamp_seconds{component="keys"} 10.0' in lines


def test_open_metrics_where_the_scraper_asks_for_it() -> None:
    body, content_type = render(crew(), [0.0] * CELLS, "application/openmetrics-text;version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_every_metric_without_labels_is_there_from_the_start() -> None:
    text = render([], [0.0] * CELLS, "")[0].decode()
    assert all(f"# TYPE {name}" in text for name, metric in METRICS.items() if not metric.labels)


def test_gauges_of_a_worker_that_died_are_forgotten_and_its_counters_kept() -> None:
    member = crew()[0]
    member.cells[Meter.series("ztag_in_flight")] = 7.0
    member.clear_gauges()
    assert member.cells[Meter.series("ztag_in_flight")] == 0.0
    assert member.cells[Meter.series("ztag_shed")] == 2.0
