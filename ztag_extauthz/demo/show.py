"""The demo on the screen: progress, the table, and how to go on by hand."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ztag_extauthz.demo.cases import Case, cases
from ztag_extauthz.demo.client import Reply, send
from ztag_extauthz.demo.stack import Plan, Stack, running

WIDE = 150
"""Columns where nobody's screen sets a limit."""


class Outcome(Struct, frozen=True):
    """A case and what came of it."""

    case: Case
    reply: Reply
    milliseconds: float

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
            _explain(console, stack)
            _wait_for_interrupt()
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
    for name in ("", "request", "", "expected", "got", "why"):
        table.add_column(name)
    table.add_column("ms", justify="right")
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
        f'curl -i {url}/reports?region=eu -H "Authorization: Bearer $TOKEN"',
        f"curl -s http://{host}:{port}/metrics",
        f"# ztag's configuration and log: {stack.config} {stack.ztag.log}",
    ]
    console.print("\nStill running, Ctrl-C ends it. To go on by hand:\n")
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _wait_for_interrupt() -> None:
    """Wait for Ctrl-C or SIGTERM, and return so that everything is ended in order."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        return
