"""A failure under load: what is done, and what must come of it."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import quantiles
from typing import Any, ClassVar, Final

from msgspec import Struct

from loadtest.edge import answer_itself, asks
from loadtest.load.open_loop import Ask, Load, Shot
from ztag_extauthz.demo.issuer import Issuer
from ztag_extauthz.demo.processes import ProcessError, fetch, folder_for
from ztag_extauthz.demo.stack import Plan, Stack, running
from ztag_extauthz.wire.envoy import Wishes

CALM, AFTERWARDS, HELD = 2.0, 4.0, 3.0
"""Seconds of load before the failure and after it, and how long one lasts that can be taken away."""
RATE: Final = 300.0


class Case:
    """One failure. A subclass's docstring says what is done."""

    may_fail: ClassVar[float] = 0.0
    """The part of all requests that may get an error, or nothing. None may be answered wrongly."""
    recovery: ClassVar[float] = 5.0
    """Seconds after the failure (or its end) within which everything must be answered again."""
    workers: ClassVar[int] = 2

    def __init__(self, rate: float = RATE) -> None:
        """`rate` in requests a second."""
        self.rate = rate
        self.remarks: list[str] = []
        """What else is worth knowing."""
        self.misses: list[str] = []
        """What did not come about beside the load and has to; with one of them the row does not hold."""
        self.ended_at: float | None = None
        """`time.monotonic` of the failure's end where that is not the end of `fault`."""

    @property
    def name(self) -> str:
        return (type(self).__doc__ or "").strip().rstrip(".")

    @property
    def criterion(self) -> str:
        """What the load has to look like for the row to hold."""
        if not self.may_fail:
            return "none wrong, none failed"
        return f"none wrong, {self.may_fail:.0%} failed at most, none {self.recovery:.0f} s after its end"

    def settings(self, parts: ExitStack, folder: Path) -> Mapping[str, Any]:
        """Return sections of ztag's configuration; what is started for them ends with `parts`."""
        return {}

    def wishes(self) -> Wishes:
        """Return what Envoy is told."""
        return Wishes(timeout=1.0, body_bytes=8192)

    def environment(self) -> Mapping[str, str]:
        """Return what ztag's processes find in their environment; asked after `settings`."""
        return {}

    def asks(self, issuer: Issuer) -> Sequence[Ask]:
        """Return the load, asked again and again."""
        return asks(issuer)

    def judged(self, shots: Sequence[Shot]) -> Sequence[Shot]:
        """Return what came of the load, where what is right changes meanwhile."""
        return shots

    def fault(self, stack: Stack) -> None:
        """Break something, and mend it where it can be mended from outside."""
        raise NotImplementedError


class Row(Struct, frozen=True):
    """What came of a case."""

    name: str
    due: int
    rate: float
    """Requests a second that were answered rightly, over the whole time."""
    failed: int
    wrong: int
    p99: float
    """Seconds from when a request was due, over the whole time."""
    recovery: float
    """Seconds from the failure (or its end, where it was taken away) to the last request that failed; 0: none did."""
    criterion: str
    met: bool
    remarks: str = ""


def run(case: Case) -> Row:
    """Run a case under load; what does not start, or come about in time, does not hold."""
    try:
        return _run(case)
    except ProcessError as error:
        if "Address already in use" not in str(error):
            return _lost(case, error)
        return run(type(case)(case.rate))  # the port was free a moment ago: the machine is not ours alone
    except Exception as error:  # noqa: BLE001 - the other failures are still to be tried
        return _lost(case, error)


def _lost(case: Case, error: Exception) -> Row:
    why = " ".join(f"{type(error).__name__}: {error}"[:200].replace("|", "/").split())
    return Row(case.name, 0, 0.0, 0, 0, 0.0, 0.0, case.criterion, met=False, remarks=why)


def _run(case: Case) -> Row:
    with ExitStack() as parts:
        folder = parts.enter_context(folder_for("chaos"))
        sections = dict(case.settings(parts, folder))
        sections["server"] = {"workers": case.workers, **sections.get("server", {})}
        wishes, environment = case.wishes(), case.environment()
        plan = Plan(settings=sections, wishes=wishes, change_envoy=answer_itself, environment=environment)
        stack = parts.enter_context(running(plan))
        load = Load(stack.edge, case.asks(stack.issuer), case.rate)
        parts.callback(load.end)
        time.sleep(CALM)
        began = time.monotonic()
        case.fault(stack)
        mended = case.ended_at or time.monotonic()
        time.sleep(AFTERWARDS)
        shots, lag = load.stop()
    return _row(case, case.judged(shots), lag, began, mended)


def _row(case: Case, shots: Sequence[Shot], lag: float, began: float, mended: float) -> Row:
    failed = [shot for shot in shots if _is_failed(shot)]
    wrong = sum(shot.wrong for shot in shots)
    last = max((shot.answered for shot in failed), default=0.0)
    recovery = max(0.0, last - mended)
    early = sum(shot.answered < began for shot in failed)
    seconds = max(shot.answered for shot in shots) - min(shot.due for shot in shots)
    if lag > 1.0:
        case.remarks.append(f"the generator was {lag:.1f} s late")
    if early:
        case.remarks.append(f"{early} failed before anything was broken")
    return Row(
        case.name,
        len(shots),
        (len(shots) - len(failed) - wrong) / seconds,
        len(failed),
        wrong,
        quantiles([shot.latency for shot in shots], n=100)[98],
        recovery,
        case.criterion,
        not (wrong or case.misses) and len(failed) <= case.may_fail * len(shots) and recovery <= case.recovery,
        "; ".join(case.remarks),
    )


def _is_failed(shot: Shot) -> bool:
    return shot.status == 0 or shot.status >= 500


def workers_of(stack: Stack) -> list[int]:
    """Return the processes that hold a worker, which are the grandchildren of ztag's own."""
    return [grandchild for child in children(stack.ztag.pid) for grandchild in children(child)]


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def metric(stack: Stack, pattern: str) -> float:
    """Return the sum of the metrics whose names and labels match."""
    lines = fetch(stack.ztag.admin, "/metrics")[1].decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(pattern, line))


def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something; raises `TimeoutError`."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("what was waited for did not come about")
        time.sleep(0.02)


def grpc_address(stack: Stack) -> tuple[str, int]:
    """Return where the first worker listens."""
    found = re.search(r"^ready grpc=([\d.]+):(\d+)", stack.ztag.output(), re.MULTILINE)
    if found is None:
        raise TimeoutError("ztag does not say where it listens")
    return found[1], int(found[2])
