"""The demo on the screen: progress, the table, and how to go on by hand."""

import json
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec import Struct
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ztag_extauthz.demo.cases import Case, cases
from ztag_extauthz.demo.client import Reply, send
from ztag_extauthz.demo.stack import Plan, Stack, running

WIDE = 180
"""Columns where nobody's screen sets a limit."""
DECISION = "x-ztag-decision-id"
PATIENCE = 5.0
"""Seconds that the last audit lines have to be written."""


class Outcome(Struct, frozen=True):
    """A case and what came of it."""

    case: Case
    reply: Reply
    milliseconds: float

    @property
    def decision(self) -> str:
        """The id that ztag gave its decision; "" where Envoy did not come to ask."""
        return next(iter(self.reply.seen_header(DECISION)), self.reply.header(DECISION))

    @property
    def as_expected(self) -> bool:
        return self.reply.status == self.case.status and self.case.also(self.reply)


def run(*, keep: bool) -> int:
    """Run the demo; return how many answers differ from what was expected. Raises `ProcessError`."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    with (
        console.status("starting …") as status,
        running(Plan(), lambda what: status.update(f"starting {what} …")) as stack,
    ):
        status.update("asking …")
        outcomes = [
            _outcome(stack, case)
            for case in cases(stack.issuer, stack.folder)
            if not (keep and case.while_ztag_is_stopped)
        ]
        status.stop()
        _show(console, stack, outcomes)
        if keep:
            _leave_running(console, stack)
    return sum(not outcome.as_expected for outcome in outcomes)


def _outcome(stack: Stack, case: Case) -> Outcome:
    with _stopped(stack, case):
        started = time.perf_counter()
        reply = send(stack.upstream.address if case.past_envoy else stack.edge, case.ask)
        return Outcome(case, reply, (time.perf_counter() - started) * 1000)


@contextmanager
def _stopped(stack: Stack, case: Case) -> Iterator[None]:
    if case.while_ztag_is_stopped:
        stack.ztag.stop()
    yield


def _show(console: Console, stack: Stack, outcomes: list[Outcome]) -> None:
    table = Table(title=f"Through Envoy at {stack.edge[0]}:{stack.edge[1]}", title_justify="left")
    for name in ("", "request", "", "expected", "got", "what ztag wrote into its audit log", "what it shows"):
        table.add_column(name)
    table.add_column("ms", justify="right")
    audit = _audit(stack, {outcome.decision for outcome in outcomes} - {""})
    for outcome in outcomes:
        case, good = outcome.case, outcome.as_expected
        line = f"{case.ask.method} {case.ask.path}"
        got = str(outcome.reply.status) if good or outcome.reply.status != case.status else f"{case.status}, but not so"
        colour = "green" if good else "bold red"
        table.add_row(
            f"[{colour}]{'✔' if good else '✘'}[/]",
            escape(case.name),
            escape(line),
            str(case.status),
            f"[{colour}]{got}[/]",
            escape(_written(outcome.decision, audit)),
            escape(case.why),
            f"{outcome.milliseconds:.1f}",
        )
    console.print(table)
    _show_injected(console, outcomes)
    differing = [outcome for outcome in outcomes if not outcome.as_expected]
    for outcome in differing:
        console.print(
            f"[bold red]{escape(outcome.case.name)}[/]: {outcome.reply.status}", outcome.reply.body[:2000].decode()
        )
    if differing:
        console.print("ztag's last words:", stack.ztag.output()[-2000:], markup=False, soft_wrap=True)
    console.print(f"{len(outcomes) - len(differing)} of {len(outcomes)} as expected")


def _audit(stack: Stack, decisions: set[str]) -> dict[str, dict[str, Any]]:
    """Return the audit lines of the run by their decision's id; waits a while for those that are not there yet."""
    ends = time.monotonic() + PATIENCE
    while True:
        audit = _records(stack.ztag.output())
        if decisions <= audit.keys() or time.monotonic() > ends:
            return audit
        time.sleep(0.05)


def _records(output: str) -> dict[str, dict[str, Any]]:
    """Return the records of the whole lines; the last one may still be being written."""
    lines = (line for line in output.splitlines(keepends=True) if line.startswith("{") and line.endswith("\n"))
    return {record["id"]: record for record in map(json.loads, lines)}


def _written(decision: str, audit: Mapping[str, Mapping[str, Any]]) -> str:
    """Say what became of a decision; `decision` is its id, "" where none came back."""
    if not decision:
        return "(Envoy answered without ztag)"
    if decision not in audit:
        return "(not written)"
    record = audit[decision]
    reason = f": {record['reason']}" if "reason" in record else ""
    return f"{record['outcome']} by {record['decidedBy']}{reason}"


def _show_injected(console: Console, outcomes: list[Outcome]) -> None:
    seen = next((outcome.reply.seen for outcome in outcomes if outcome.reply.seen), {})
    injected = [(name, value) for name, value in seen.get("headers", []) if name.startswith(("x-ztag-", "x-user"))]
    console.print("What the upstream saw with the first request:")
    for name, value in injected:
        console.print(f"  {name}: {value}", markup=False, highlight=False)


def _explain(console: Console, stack: Stack) -> None:
    url = f"http://{stack.edge[0]}:{stack.edge[1]}"
    token = stack.issuer.token("ann", roles=["editor"], regions=["eu"], tenant="t1")
    host, port = stack.ztag.admin
    lines = [
        f"TOKEN={token}",
        f'curl -i {url}/orders -H "Authorization: Bearer $TOKEN"',
        f"curl -i {url}/orders",
        f'curl -i "{url}/reports?region=eu" -H "Authorization: Bearer $TOKEN"',
        f"curl -s http://{host}:{port}/metrics",
        f"# ztag's configuration and log: {stack.config} {stack.ztag.log}",
    ]
    console.print("\nStill running, Ctrl-C ends it. To go on by hand:\n")
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _leave_running(console: Console, stack: Stack) -> None:
    """Say how to go on, and return at Ctrl-C or SIGTERM so that everything is ended in order."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _explain(console, stack)
        while True:
            signal.pause()
    except KeyboardInterrupt:
        return
