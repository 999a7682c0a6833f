"""`Report` → Markdown, and one HTML page with drawings (SVG), light or dark as the reader's own screen."""

import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from loadtest.load.traces import TYPICAL
from loadtest.report.figures import Direct, Report, Through

_DIRECT: Final = ("server", "requests/s", "min to max", "of the first", "CPU µs", "p50 ms", "p99 ms", "failed")
_THROUGH: Final = (
    "way",
    "requests/s",
    "min to max",
    "of Envoy alone",
    "CPU s/1,000: Envoy + server",
    "p50 ms",
    "p99 ms",
    "failed",
)
_STYLE: Final = """
:root{color-scheme:light dark;--bar:#2b6cb0;--other:#a0aec0;--line:#8884}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1,h2,h3{line-height:1.2}.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.875rem}
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left}svg{width:100%;max-width:44rem;height:auto}
text{fill:currentColor;font:12px system-ui,sans-serif}.b{fill:var(--other)}.z{fill:var(--bar)}
"""


def write(report: Report, folder: Path) -> None:
    """Write `report.json`, `report.md` and `report.html`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    (folder / "report.md").write_text(markdown(report))
    (folder / "report.html").write_text(page(report))


def read(folder: Path) -> Report:
    return msgspec.json.decode((folder / "report.json").read_bytes(), type=Report)


def markdown(report: Report) -> str:
    """Return the report as Markdown."""
    parts = [f"# Load test\n\n{_method(report)}\n\n## Summary\n\nDirect: {TYPICAL}.\n\n{summary(report)}\n"]
    for title, heads, rows in _tables(report):
        parts.append(f"## {title}\n\n{_markdown_table(heads, rows)}")
    return "\n".join(parts)


def summary(report: Report) -> str:
    """Return the lines that the README repeats."""
    rows = [_direct(row) for row in report.direct if row.trace == TYPICAL]
    return _markdown_table(_DIRECT, rows)


def page(report: Report) -> str:
    """Return the report as one HTML page that needs nothing else."""
    parts = [f"<h1>Load test</h1><p>{html.escape(_method(report))}</p>"]
    for title, heads, rows in _tables(report):
        drawings = "".join(_bars(name, [(row[0], _number(row[at])) for row in rows]) for name, at in _drawn(heads))
        parts.append(f"<h2>{html.escape(title)}</h2>{drawings}<div class=scroll>{_html_table(heads, rows)}</div>")
    head = (
        "<meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'><title>Load test</title>"
    )
    return (
        f"<!doctype html><html lang=en><head>{head}<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _method(report: Report) -> str:
    return (
        f"On one machine ({report.machine}), everything at the same time and asked in turn; medians of {report.rounds} "
        "rounds, ratios within a round. Direct: one connection, 64 requests at a time. Through Envoy: one thread, "
        "64 connections; the generator is Python, and Envoy alone shows its limit. Other work on the machine shows in "
        "the spread."
    )


def _traces(report: Report) -> list[str]:
    return list(dict.fromkeys(row.trace for row in report.direct))


def _tables(report: Report) -> Sequence[tuple[str, Sequence[str], Sequence[Sequence[str]]]]:
    direct = [
        (f"Direct: {trace}", _DIRECT, [_direct(row) for row in report.direct if row.trace == trace])
        for trace in _traces(report)
    ]
    through = [
        (f"Through Envoy: {_due(due)}", _THROUGH, [_through(row) for row in report.through if row.due == due])
        for due in dict.fromkeys(row.due for row in report.through)
    ]
    return [*direct, *through]


def _due(due: float) -> str:
    return f"{due:,.0f} requests a second, open loop" if due else "as fast as answers come"


def _direct(row: Direct) -> Sequence[str]:
    rates = (f"{row.rate:,.0f}", f"{row.lowest:,.0f} to {row.highest:,.0f}", f"{row.ratio:.2f}")
    cpu = f"{row.cpu:.0f} ({row.cpu_ratio:.2f})"
    return (row.server, *rates, cpu, _ms(row.p50), f"{_ms(row.p99)} ({row.p99_ratio:.2f})", str(row.failed))


def _through(row: Through) -> Sequence[str]:
    rates = (f"{row.rate:,.0f}", f"{row.lowest:,.0f} to {row.highest:,.0f}", f"{row.ratio:.2f}")
    cpu = f"{row.envoy_cpu:.3f} + {row.server_cpu:.3f}"
    return (row.way, *rates, cpu, _ms(row.p50), _ms(row.p99), str(row.failed))


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f}"


def _number(cell: str) -> float:
    return float(cell.split(maxsplit=1)[0].replace(",", ""))


def _drawn(heads: Sequence[str]) -> Sequence[tuple[str, int]]:
    return [(name, heads.index(name)) for name in ("requests/s", "p99 ms") if name in heads]


def _bars(title: str, values: Sequence[tuple[str, float]]) -> str:
    """Draw a bar for each value."""
    most = max((value for _, value in values), default=0.0) or 1.0
    lines = [f"<text x=0 y=16 font-weight=600>{html.escape(title)}</text>"]
    for place, (name, value) in enumerate(values):
        y, width, kind = 26 + 24 * place, 320 * value / most, "z" if "ztag" in name else "b"
        lines.append(f"<text x=0 y={y + 13}>{html.escape(name)}</text>")
        lines.append(f"<rect class={kind} x=230 y={y} width={width:.1f} height=18 rx=2 />")
        lines.append(f"<text x={236 + width:.1f} y={y + 13}>{value:,.1f}</text>")
    return f"<svg viewBox='0 0 640 {34 + 24 * len(values)}' role=img>{''.join(lines)}</svg>"


def _markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in (heads, ["---"] * len(heads), *rows))


def _html_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cell: Callable[[str, str], str] = lambda kind, text: f"<{kind}>{html.escape(text)}</{kind}>"  # noqa: E731
    head = "".join(cell("th", name) for name in heads)
    body = "".join(f"<tr>{''.join(cell('td', text) for text in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
