"""`ztag risk`: score a log again, explain one score, fit the bands to one's own traffic."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ztag_extauthz.cli.common import FAILED, read_text, telling_mistakes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ztag_extauthz.authorization.risk.model import Model
    from ztag_extauthz.authorization.risk.replay import Scored

app = typer.Typer(help="Score a log again, explain a score, fit the bands to your traffic.", no_args_is_help=True)

Log = Annotated[str, typer.Argument(help="An audit log (JSON lines) with the header `user-agent`; - for stdin.")]
ModelFile = Annotated[Path | None, typer.Option("--model", help="Weights and thresholds; left out: the built-in ones.")]
Databases = Annotated[list[Path] | None, typer.Option("--database", help="A MaxMind-format database; may be repeated.")]
Threats = Annotated[list[Path] | None, typer.Option("--threats", help="A list of addresses; may be repeated.")]
Fingerprint = Annotated[str, typer.Option("--fingerprint-header", help="Where Envoy passes the TLS fingerprint.")]
Proxies = Annotated[int, typer.Option("--trusted-proxies", help="As in the configuration.")]
BARS = " ▁▂▃▄▅▆▇█"
COLUMNS = 72
WIDTH = 160
"""Characters of a line where nobody says how wide the screen is."""


@app.command()
def replay(
    log: Log,
    model: ModelFile = None,
    database: Databases = None,
    threats: Threats = None,
    fingerprint_header: Fingerprint = "",
    trusted_proxies: Proxies = 0,
    top: Annotated[int, typer.Option(help="How many of the riskiest requests to show.")] = 10,
) -> None:
    """Print the bands, the riskiest requests with their reasons, and the score over time."""
    from rich.console import Console

    with telling_mistakes():
        scored = _scored(log, _model(model), database, threats, fingerprint_header, trusted_proxies)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    counts = {band: sum(one.assessment.band == band for one in scored) for band in ("low", "elevated", "high")}
    console.print(f"{len(scored):,} requests: " + ", ".join(f"{band} {count:,}" for band, count in counts.items()))
    console.print(_table(sorted(scored, key=lambda one: -one.assessment.score)[:top]))
    console.print(f"highest score over time  │{plot(scored)}│")


@app.command()
def explain(
    log: Log,
    request: Annotated[str, typer.Option("--id", help="The decision's id, or the request's.")],
    model: ModelFile = None,
    database: Databases = None,
    threats: Threats = None,
    fingerprint_header: Fingerprint = "",
    trusted_proxies: Proxies = 0,
) -> None:
    """Print what each signal added to the score of one request. Exit code 1: it is not in the log."""
    from rich.console import Console

    known = _model(model)
    with telling_mistakes():
        scored = _scored(log, known, database, threats, fingerprint_header, trusted_proxies)
    one = next((one for one in scored if request in (one.entry.id, one.entry.request.id)), None)
    if one is None:
        print(f"{request} is not in {log}")
        raise typer.Exit(1)
    Console().print(_contributions(one, known))


@app.command()
def calibrate(
    log: Log,
    out: Annotated[Path, typer.Option(help="The model file to write.")],
    elevated: Annotated[float, typer.Option(help="Share of benign requests that may be `elevated` or more.")] = 0.005,
    high: Annotated[float, typer.Option(help="Share of benign requests that may be `high`.")] = 0.001,
    model: ModelFile = None,
    database: Databases = None,
    threats: Threats = None,
    fingerprint_header: Fingerprint = "",
    trusted_proxies: Proxies = 0,
) -> None:
    """Fit the bands to a log of ordinary traffic: its first half teaches, its second half is measured."""
    from ztag_extauthz.authorization.risk.model import write_model
    from ztag_extauthz.authorization.risk.replay import calibrate as fit
    from ztag_extauthz.errors import ZtagError

    if not 0 < high <= elevated < 1:
        print("the shares must be 0 < high <= elevated < 1")
        raise typer.Exit(FAILED)
    with telling_mistakes():
        scored = _scored(log, _model(model), database, threats, fingerprint_header, trusted_proxies)
        measured = scored[len(scored) // 2 :]
        try:
            found = fit(measured, _model(model), elevated, high)
        except ValueError as error:
            raise ZtagError(str(error)) from error
        write_model(out, found, {"requests": len(measured), "elevated_share": elevated, "high_share": high})
    print(f"{out}: elevated from {found.elevated:.6f}, high from {found.high:.6f}, by {len(measured):,} requests")


def _model(path: Path | None) -> Model:
    from ztag_extauthz.authorization.risk.model import Model, read_model
    from ztag_extauthz.stores.geo import usable

    with telling_mistakes():
        return usable(read_model, path) if path else Model()


def _scored(
    log: str,
    model: Model,
    databases: list[Path] | None,
    threats: list[Path] | None,
    fingerprint_header: str,
    trusted_proxies: int,
) -> list[Scored]:
    from ztag_extauthz.authorization.risk.replay import new_scorer, read, replay
    from ztag_extauthz.errors import ZtagError
    from ztag_extauthz.stores.geo import AddressLists, Places

    scorer = new_scorer(
        model,
        locate=Places(Path(), [str(path) for path in databases or ()]),
        threats=AddressLists(Path(), [str(path) for path in threats or ()]),
        fingerprint_header=fingerprint_header,
        trusted_proxies=trusted_proxies,
    )
    try:
        return list(replay(read(read_text(log).splitlines()), scorer, model.elevated))
    except ValueError as error:
        raise ZtagError(f"{log}: {error}") from error


def _table(scored: Sequence[Scored]) -> object:
    from datetime import UTC, datetime

    from rich.table import Table

    table = Table("time", "score", "band", "subject", "address", "request", "why")
    for one in scored:
        entry, found = one.entry, one.assessment
        table.add_row(
            datetime.fromtimestamp(entry.time, UTC).isoformat(timespec="seconds"),
            f"{found.score:.4f}",
            found.band,
            ascii(entry.identity.subject if entry.identity else "")[1:-1],
            ascii(entry.request.source.address)[1:-1],
            ascii(f"{entry.request.method} {entry.request.path}"[:60])[1:-1],
            ", ".join(f"{name} {value:+.1f}" for name, value in found.top.items()),
        )
    return table


def _contributions(one: Scored, model: Model) -> object:
    from rich.table import Table

    table = Table("signal", "adds to the log-odds", title=f"score {one.assessment.score:.4f} ({one.assessment.band})")
    table.add_row("(before anything is known)", f"{model.bias:+.2f}")
    for name, value in sorted(one.contributions.items(), key=lambda pair: -abs(pair[1])):
        if value:
            table.add_row(name, f"{value:+.2f}")
    return table


def plot(scored: Sequence[Scored], columns: int = COLUMNS) -> str:
    """Return the highest score of each stretch of time as a line of bars."""
    if not scored:
        return ""
    first, last = scored[0].entry.time, scored[-1].entry.time
    highest = [0.0] * columns
    for one in scored:
        column = min(columns - 1, max(0, int((one.entry.time - first) / (last - first or 1.0) * columns)))
        highest[column] = max(highest[column], one.assessment.score)
    return "".join(BARS[min(8, int(score * 8.999))] for score in highest)
