"""What an operator has to hear of at once, on stderr: errors, and headers that a client could spoof.

Not a line a request: of errors of one reason and kind the first is told, then one each `PAUSE` at most. A thread
writes, so that nobody waits for whoever reads stderr.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from threading import Lock, Thread

from ztag_extauthz.again import NOTHING, Told
from ztag_extauthz.model import Allow, Decision, Failed, Pairs, Request
from ztag_extauthz.reporting.interface import Reporter

LOG = logging.getLogger("ztag.decisions")

PAUSE = 10.0
"""Seconds between two lines about errors of one reason and kind."""
MAX_WAITING = 100
"""Lines that may wait to be written; what comes then is not, and is counted as left out."""
MAX_NAMES = 64
"""Header names that are warned of; a policy may make them of what it reads."""
MAX_DETAIL = 500
LAST_WORDS = 1.0
"""Seconds that the thread has when the reporter is closed."""


class Log(Reporter):
    """Tells of errors, and once of each header that is set and not owned."""

    kind = "log"

    def __init__(self, owned_headers: Iterable[str]) -> None:
        self._known = set(owned_headers)
        self._warned = 0
        self._told_at: dict[tuple[str, str], float] = {}
        self._left_out: dict[tuple[str, str], int] = {}
        self._lines: deque[tuple[int, str]] = deque()
        self._lock = Lock()
        self._writer: Thread | None = None

    async def close(self) -> None:
        if self._writer:
            await asyncio.to_thread(self._writer.join, LAST_WORDS)

    def report(self, request: Request, decision: Decision) -> None:  # noqa: ARG002 - what a caller sends is not logged
        """See `Reporter.report`."""
        verdict = decision.verdict
        if isinstance(verdict, Failed):
            self._error(decision, verdict)
        elif isinstance(verdict, Allow):
            for name, _ in verdict.request_headers:
                if name not in self._known:
                    self._warn(verdict.request_headers)
                    return

    def again(self, request: Request, decision: Decision) -> Told | None:  # noqa: ARG002 - it was told of this one
        headers = decision.verdict.request_headers if isinstance(decision.verdict, Allow) else ()
        return None if self._warned < MAX_NAMES and not_owned(headers, self._known) else NOTHING

    def _error(self, decision: Decision, failed: Failed) -> None:
        key = (failed.reason, decision.decided_by)
        left_out = self._left_out.get(key, 0)
        told_lately = abs(decision.time - self._told_at.get(key, -PAUSE)) < PAUSE
        if told_lately or not self._say(logging.ERROR, _line(decision, failed, left_out)):
            self._left_out[key] = left_out + 1
            return
        self._told_at[key] = decision.time
        self._left_out.pop(key, None)

    def _warn(self, headers: Pairs) -> None:
        for name in not_owned(headers, self._known):
            if self._warned < MAX_NAMES and self._say(logging.WARNING, warning(name)):
                self._warned += 1
                self._known.add(name)

    def _say(self, level: int, line: str) -> bool:
        """Have a line written; return False where too many wait."""
        with self._lock:
            if len(self._lines) >= MAX_WAITING:
                return False
            self._lines.append((level, line))
            if self._writer is None:
                self._writer = Thread(target=self._write, name="log", daemon=True)
                self._writer.start()
            return True

    def _write(self) -> None:
        while True:
            with self._lock:
                if not self._lines:
                    self._writer = None
                    return
                level, line = self._lines.popleft()
            LOG.log(level, "%s", line)


def not_owned(headers: Pairs, owned: Iterable[str]) -> list[str]:
    """Return the names in lower case that a policy sets, though a client's own copies would not be removed."""
    known = {name.lower() for name in owned}
    names = dict.fromkeys(name.lower() for name, _ in headers)
    return [name for name in names if name not in known and not name.startswith(("x-ztag-", ":"))]


def warning(name: str) -> str:
    """Say what a header that the policy sets and nobody owns comes to."""
    return (
        f"the policy sets {_one_line(name)}, which response.owned_headers does not list: "
        "on paths where it does not set it, a client's own copy goes on to the upstream"
    )


def _line(decision: Decision, failed: Failed, left_out: int) -> str:
    more = f"; {left_out} more of {decision.decided_by} before it are left out" if left_out else ""
    detail = _one_line(failed.detail) or "no detail"
    return f"{failed.reason} in {decision.decided_by or decision.stage}: {detail} (decision {decision.id}){more}"


def _one_line(text: str) -> str:
    """Return a text of printable characters only, so that it cannot pass for another line."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text[:MAX_DETAIL])
