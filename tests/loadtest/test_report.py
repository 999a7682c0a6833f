"""What `make loadtest` writes: verdicts, and a page that needs nothing else."""

import html
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtest.report import figures as kept
from loadtest.report.figures import CONSTANT, GUARDED, NEW, PLUGIN, TYPICAL, UNCACHED, WARM, ZTAG, Report, behind_envoy
from loadtest.report.goals import GOALS, figures
from loadtest.report.page import markdown, page, read, summary, write
from loadtest.report.plots import plots
from loadtest.report.svg import WIDTH, Axis, _apart, decades, over
from loadtest.report.tables import tables

TAKEN = kept.Taken("2026-11-22", 3, "2 cores")


def direct(trace: str, server: str, **found: float) -> kept.Direct:
    usual: dict[str, Any] = {"rate": 1000.0, "ratio": 1.0, "cpu": 100.0, "cpu_ratio": 1.0, **found}
    return kept.Direct(trace, server, lowest=1.0, highest=2e4, p50=1e-3, p99=0.01, p99_ratio=1.0, failed=0, **usual)


def through(way: str, due: float, **found: float) -> kept.Through:
    usual: dict[str, Any] = {"rate": 9000.0, "p50": 0.001, "p99": 0.005, **found}
    return kept.Through(
        due,
        way,
        lowest=1.0,
        highest=3e4,
        ratio=1.0,
        envoy_cpu=0.1,
        server_cpu=0.1,
        failed=0,
        generator_cpu=0.01,
        **usual,
    )


def good() -> Report:
    """Return a report in which every goal is met."""
    ways = [behind_envoy(name) for name in (ZTAG, PLUGIN, CONSTANT)]
    return Report(
        taken={"direct": TAKEN},
        direct=(
            direct(WARM, PLUGIN),
            direct(WARM, ZTAG, ratio=6.0, cpu_ratio=0.15),
            direct(WARM, GUARDED, rate=6000.0),
            direct(WARM, CONSTANT, rate=10_000.0),
            direct(NEW, UNCACHED, cpu_ratio=0.4),
            direct(TYPICAL, ZTAG),
        ),
        paced=tuple(
            kept.Paced(name, due, due, 1e-3, 2e-3, 0.0, 0) for due in (500.0, 1000.0) for name in (PLUGIN, ZTAG)
        ),
        half=(kept.Half(PLUGIN, 2000.0, 0.01, 0.02, 1.0, 0), kept.Half(ZTAG, 9000.0, 0.001, 0.01, 0.5, 0)),
        through=(
            *(through(way, due, of_constant=0.9, p99_of_plugin=0.5) for due in (0.0, 1000.0) for way in ways),
            through(kept.ALONE, 0.0, rate=40_500.0),
            through(kept.OWN_FILTERS, 1000.0, p50=0.0005, p99=0.004),
        ),
        stages=(
            kept.Cost(kept.WHOLE, "", 100.0),
            kept.Cost("engine", kept.WHOLE, 30.0),
            kept.Cost("own", kept.WHOLE, 70.0),
            kept.Cost("decode", "own", 69.0),
            kept.Cost("encode", "own", 1.0),
        ),
        workers=(
            kept.Workers(1, 9000.0, 8000.0, 9500.0, 1.0, 100.0, 1.0, 0.1, 1.1, 1.2, 4, 0),
            kept.Workers(2, 16_200.0, 16_000.0, 17_000.0, 1.8, 105.0, 1.9, 0.1, 2.2, 2.3, 4, 0),
        ),
        hits=tuple(kept.Hits(number * 1000, number, 0.6, 0.35, 0.0) for number in range(1, 31)),
        held=(kept.Held(0, 80 << 20, 0, 0.0, 0.0, 0, 0), kept.Held(10_000, 300 << 20, 2000, 1e-3, 2e-3, 0, 0)),
        start=(kept.Start(GUARDED, 1.5, 1.6, 1.2, 150_000_000, 200_000_000, 70_000_000, 90_000_000),),
        risk=(kept.Risk("score", 5e-6, 20e-6, 400),),
    )


def verdicts(report: Report) -> list[str]:
    return [each.verdict for each in figures(report)]


def changed(report: Report, part: str, number: int, **found: Any) -> Report:
    """Return a report with one row that is different."""
    rows = list(getattr(report, part))
    rows[number] = msgspec.structs.replace(rows[number], **found)
    return msgspec.structs.replace(report, **{part: tuple(rows)})


def test_what_reaches_its_goal_is_met() -> None:
    assert set(verdicts(good())) == {"met", "stated"}
    assert verdicts(good()).count("stated") == 1


def test_nothing_is_said_of_what_was_not_measured() -> None:
    assert set(verdicts(Report())) == {"not measured"}
    assert plots(Report()) == []
    assert tables(Report()) == []
    assert "not measured" in page(Report())


def test_without_the_plugin_nothing_is_compared_with_it() -> None:
    report = good()
    report = msgspec.structs.replace(report, direct=report.direct[1:])
    assert [each.what for each in figures(report) if each.verdict == "not measured"] == [
        goal.what
        for goal in GOALS
        if "opa-envoy-plugin" in goal.what and goal.how.startswith("over gRPC, ") and "half" not in goal.what
    ]


@pytest.mark.parametrize(
    ("part", "number", "found", "what"),
    [
        ("direct", 1, {"ratio": 5.9}, "Throughput to opa-envoy-plugin's"),
        ("direct", 1, {"cpu_ratio": 0.16}, "CPU a decision to opa-envoy-plugin's"),
        ("direct", 2, {"rate": 5900.0}, "Warm pipeline"),
        ("direct", 4, {"cpu_ratio": 0.41}, "CPU a decision to opa-envoy-plugin's, nothing remembered"),
        ("half", 1, {"ratio": 0.51}, "p99 at half"),
        ("through", 0, {"p99_of_plugin": 0.51}, "p99 through one Envoy"),
        ("through", 0, {"of_constant": 0.89}, "Throughput through one Envoy"),
        ("through", 0, {"rate": 8999.0}, "Requests a second through Envoy"),
        ("held", 1, {"resident": 500_000_000}, "10,000 connections"),
        ("held", 1, {"closed": 1}, "10,000 connections"),
        ("held", 1, {"failed": 1}, "10,000 connections"),
        ("held", 1, {"answered": 0}, "10,000 connections"),
        ("hits", 29, {"worker": 0.5}, "Answers of the policy"),
        ("risk", 0, {"p50": 5.1e-6}, "Risk score"),
        ("risk", 0, {"p99": 20.1e-6}, "Risk score"),
        ("workers", 1, {"ratio": 1.79}, "Workers"),
        ("workers", 1, {"busy": 3.9, "per_cpu": 1.79}, "Workers"),
        ("start", 0, {"seconds": 1.51}, "Start"),
        ("start", 0, {"own": 150_000_001}, "Memory"),
    ],
)
def test_what_falls_short_is_missed(part: str, number: int, found: dict[str, Any], what: str) -> None:
    missed = [each.what for each in figures(changed(good(), part, number, **found)) if each.verdict == "missed"]
    assert len(missed) == 1
    assert missed[0].startswith(what)


def test_on_a_full_machine_workers_are_judged_by_cpu() -> None:
    report = changed(good(), "workers", 1, ratio=1.2, busy=3.9)
    (found,) = (each for each in figures(report) if each.what.startswith("Workers"))
    assert found.met
    assert "1.90 x by CPU a request; 1.20 x in requests/s" in found.found


class Page(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.fixture(params=["good", "committed"])
def report(request: pytest.FixtureRequest) -> Report:
    return good() if request.param == "good" else read(Path(kept.__file__).parent)


def test_the_page_needs_nothing_else(report: Report) -> None:
    text = page(report)
    assert not re.search(r"https?:|//\w|@import|url\(", text)
    tags = Page(text).tags
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "object"}
    assert not any(name in {"src", "href", "srcset"} or name.startswith("on") for _, attrs in tags for name in attrs)


def test_every_drawing_has_a_title_and_labels(report: Report) -> None:
    drawings = [drawing for plot in plots(report) for drawing in plot.drawings]
    assert len(drawings) == len(set(drawings))
    for drawing in drawings:
        assert re.search(r"role=img aria-label='[^']+'><title>[^<]+</title><text [^>]*class=h>[^<]+", drawing)
        assert re.search(r"<text [^>]*class=l[^>]*>[^<]+", drawing)
        numbers = [float(each) for each in re.findall(r" x=(-?[\d.]+)", drawing)]
        assert max(numbers) <= WIDTH
        assert "nan" not in drawing


def test_a_full_report_draws_everything() -> None:
    assert [plot.title for plot in plots(good())] == [
        "Throughput by trace and server",
        "Throughput through Envoy",
        "Latency against rate, over gRPC",
        "Latency against rate, through Envoy",
        "Cost by stage",
        "Scaling with workers",
        "Hits over time",
        "Memory over connections",
    ]


def test_page_and_markdown_say_the_same(report: Report) -> None:
    written, drawn = markdown(report), page(report)
    for table in tables(report):
        assert f"## {table.title}\n" in written
        for row in table.rows:
            assert f"| {' | '.join(row)} |\n" in written
            assert "".join(f"<td>{html.escape(cell)}</td>" for cell in row) in drawn
    for each in figures(report):
        assert f"| {each.what} | {each.goal} | {each.found or '-'} | {each.verdict} |" in written


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read(tmp_path) == Report()
    write(good(), tmp_path)
    assert read(tmp_path) == good()
    assert (tmp_path / "report.md").read_text() == markdown(good())
    assert (tmp_path / "report.html").read_text() == page(good())


def test_what_is_committed_was_made_of_its_figures() -> None:
    folder = Path(kept.__file__).parent
    assert (folder / "report.md").read_text() == markdown(read(folder)), "python -m loadtest.report writes it anew"
    assert (folder / "report.html").read_text() == page(read(folder))


def test_the_summary_is_the_typical_trace() -> None:
    assert [line.split(" | ")[0] for line in summary(good()).splitlines()[2:]] == [f"| {ZTAG}"]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [([80], [0, 20, 40, 60, 80]), ([0.7], [0, 0.2, 0.4, 0.6, 0.8]), ([0], [0, 0.2, 0.4, 0.6, 0.8, 1])],
)
def test_a_linear_axis_begins_at_zero_and_holds_everything(values: list[float], ticks: list[float]) -> None:
    assert over("", values).ticks() == pytest.approx(ticks)


def test_a_logarithmic_axis_holds_everything() -> None:
    axis = decades("", [0.3, 900.0])
    assert axis.ticks() == [1.0, 10.0, 100.0, 1000.0]
    assert axis.at(0.3, 0, 100) > 0
    assert axis.at(900.0, 0, 100) < 100
    assert decades("", [500.0, 4000.0]).ticks() == [500.0, 1000.0, 2000.0, 5000.0]
    assert Axis("", 0.0, 10.0).at(2.5, 100, 200) == 125


def test_labels_do_not_meet() -> None:
    places = [50, 50.5, 51, 480, 481, 482, 482.5]
    moved = _apart(places)
    assert all(later - earlier >= 14.999 for earlier, later in pairwise(moved))
    assert moved == sorted(moved)
