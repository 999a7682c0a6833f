"""`Report` → Markdown, and one HTML page with drawings (SVG), light or dark as the reader's own screen."""

import html
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from loadtest.report.figures import TYPICAL, Report
from loadtest.report.goals import figures
from loadtest.report.plots import plots
from loadtest.report.tables import Table, goals, of_trace, tables

_STYLE: Final = Path(__file__).with_name("page.css")
_SIGNS: Final = {"met": "✔", "missed": "✘"}


def write(report: Report, folder: Path) -> None:
    """Write `report.json`, `report.md` and `report.html`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    (folder / "report.md").write_text(markdown(report))
    (folder / "report.html").write_text(page(report))


def read(folder: Path) -> Report:
    """Return the report of a folder; an empty one where there is none."""
    path = folder / "report.json"
    return msgspec.json.decode(path.read_bytes(), type=Report) if path.exists() else Report()


def markdown(report: Report) -> str:
    """Return the report as Markdown."""
    method = "\n\n".join(_method(report))
    parts = [f"# Load test\n\n{method}\n\n## Summary\n\nDirect: {TYPICAL}.\n\n{summary(report)}"]
    parts += [f"## {table.title}\n\n{_markdown_table(table)}" for table in (goals(report), *tables(report))]
    return "\n".join(parts)


def summary(report: Report) -> str:
    """Return the lines that the README repeats."""
    return _markdown_table(of_trace(report, TYPICAL))


def page(report: Report) -> str:
    """Return the report as one HTML page that needs nothing else."""
    method = "".join(f"<p>{html.escape(line)}</p>" for line in _method(report))
    body = f"<h1>Load test</h1>{method}{_goals(report)}{''.join(_drawings(report))}{''.join(_tables(report))}"
    head = (
        "<meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'><title>Load test</title>"
        f"<style>{_STYLE.read_text()}</style>"
    )
    return f"<!doctype html><html lang=en><head>{head}</head><body>{body}</body></html>\n"


def _method(report: Report) -> Sequence[str]:
    said = (
        "On one machine, everything at the same time and asked in turn; medians of rounds, ratios within a round. "
        "Direct: one connection, 64 requests at a time. Through Envoy: one thread, 64 connections. The generators are "
        "Python, share the cores with what they ask, and state what they take. Other work on the machine shows in the "
        "spread."
    )
    runs: dict[str, list[str]] = {}
    for name, taken in report.taken.items():
        runs.setdefault(f"{taken.date}, {taken.rounds} round{'s' * (taken.rounds > 1)}, {taken.machine}", []).append(
            name
        )
    return [said, *(f"{run}: {', '.join(names)}." for run, names in runs.items())]


def _goals(report: Report) -> str:
    """Return the goals as a table whose rows become cards where there is no room."""
    heads = ("goal", "measured", "verdict", "how")
    rows = []
    for each in figures(report):
        sign = _SIGNS.get(each.verdict, "·")
        cells = (each.goal, each.found or "-", f"{sign} {each.verdict}", each.how)
        rest = "".join(
            f"<td data-label='{name}'>{html.escape(cell)}</td>" for name, cell in zip(heads, cells, strict=True)
        )
        rows.append(f"<tr class={each.verdict.split()[0]}><th scope=row>{html.escape(each.what)}</th>{rest}</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("figure", *heads))
    return f"<h2>Figures</h2><table class=goals><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _drawings(report: Report) -> Iterable[str]:
    for plot in plots(report):
        yield f"<h2>{html.escape(plot.title)}</h2><p>{html.escape(plot.remark)}</p>"
        yield f"<div class=plots>{''.join(plot.drawings)}</div>"


def _tables(report: Report) -> Iterable[str]:
    yield "<h2>All measurements</h2>"
    for table in tables(report):
        yield f"<details open><summary>{html.escape(table.title)}</summary>"
        yield f"<div class=scroll>{_html_table(table)}</div></details>"


def _markdown_table(table: Table) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in (table.heads, ["---"] * len(table.heads), *table.rows))


def _html_table(table: Table) -> str:
    cell: Callable[[str, str], str] = lambda kind, text: f"<{kind}>{html.escape(text)}</{kind}>"  # noqa: E731
    head = "".join(cell("th", name) for name in table.heads)
    body = "".join(f"<tr>{''.join(cell('td', text) for text in row)}</tr>" for row in table.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
