"""One JSON line a decision (`proto/ztag/v1/decision.proto`), written by a thread of its own.

1. report   makes the line; it waits in a bounded queue, as bytes: cheaper to keep than the values that it is made of
2. write    the thread takes what is there and writes it in one go; a disk that is full costs lines, never a request
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Literal

from pydantic import Field, field_validator

from ztag_extauthz.again import UNLIKE_HEADERS, Told
from ztag_extauthz.background import Background
from ztag_extauthz.component import Resources
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Decision, Request
from ztag_extauthz.reporting.interface import Reporter, Source
from ztag_extauthz.reporting.masking import NO_NAMES, is_secret
from ztag_extauthz.reporting.record import brief, to_json
from ztag_extauthz.reporting.sinks import RotatingFile, Sink, StandardOutput, opened
from ztag_extauthz.reporting.template import Template
from ztag_extauthz.section import Section

BATCH = 128
"""Records that are written at once; about 64 KiB."""


class AuditSettings(Section):
    """Write one JSON line for each decision: who, what, which way, why, how long. No tokens, bodies or query values."""

    kind: Literal["audit"]
    to: str = Field(default="stdout", min_length=1)
    """`stdout`, or the path of a file, which is rotated."""
    max_bytes: int = Field(default=100 * 1024 * 1024, ge=64 * 1024)
    """Bytes of the file before it becomes `<file>.1`."""
    backups: int = Field(default=5, ge=0, le=1000)
    """Rotated files that are kept."""
    max_waiting: int = Field(default=10_000, ge=1)
    """Lines that may wait for the writer; what comes then is dropped and counted in `ztag_audit_dropped_total`."""
    include_headers: tuple[str, ...] = ()
    """Request headers to write, too. Those that hold secrets are refused."""

    @field_validator("include_headers")
    @classmethod
    def _no_secrets(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if is_secret(name.lower()):
                raise ValueError(f"{name} may hold a secret\nleave it out: who reads the log could use it")
        return tuple(name.lower() for name in names)

    def build(self, resources: Resources) -> "Audit":
        """Look whether the file can be written, and leave it as it is. Raises `SettingsError` where it cannot."""
        audit = Audit(self._sink(resources), self, resources.meter)
        opened(audit.sink.check, self.to)
        return audit

    def _sink(self, resources: Resources) -> Sink:
        if self.to == "stdout":
            return StandardOutput()
        return RotatingFile(resources.folder / self.to, self.max_bytes, self.backups)


class Audit(Reporter):
    """Makes the lines that the thread writes."""

    kind = "audit"

    def __init__(self, sink: Sink, settings: AuditSettings, meter: Meter) -> None:
        self.sink = sink
        self._to = settings.to
        self._headers = settings.include_headers
        self._credentials: AbstractSet[str] = NO_NAMES
        series = meter.series("ztag_audit_dropped")
        self._writer = Background[bytes](
            "audit lines",
            self.sink.write,
            lambda lines: meter.add(series, lines),
            max_waiting=settings.max_waiting,
            batch=BATCH,
        )

    def attend(self, sources: Sequence[Source], credentials: AbstractSet[str]) -> None:  # noqa: ARG002 - nobody is asked
        """See `Reporter.attend`."""
        self._credentials = credentials

    async def start(self) -> None:
        """Open the file, and write. Raises `SettingsError`."""
        opened(self.sink.open, self._to)
        self._writer.start()

    async def close(self) -> None:
        """Write what waits; a thread that hangs in a write keeps what it writes to."""
        if await self._writer.close():
            self.sink.close()

    def report(self, request: Request, decision: Decision) -> None:
        """See `Reporter.report`."""
        try:
            line = to_json(brief(request, decision, self._headers, self._credentials)) + b"\n"
        except Exception:  # noqa: BLE001 - a decision does not depend on its record
            self._writer.drop(1)
        else:
            self._writer.put(line, len(line))

    def again(self, request: Request, decision: Decision) -> Told | None:
        """See `Reporter.again`."""
        if not set(self._headers).isdisjoint(UNLIKE_HEADERS):
            return None
        template = Template(brief(request, decision, self._headers, self._credentials))

        def report(decision_id: str, time: float, name: bytes) -> None:
            line = template.line(decision_id, time, name) + b"\n"
            self._writer.put(line, len(line))

        return report
