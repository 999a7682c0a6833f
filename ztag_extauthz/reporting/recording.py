"""Requests kept for `ztag replay`: a sample of them, without credentials, in files that are rotated."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from random import random
from typing import ClassVar, Literal

from pydantic import Field

from ztag_extauthz.background import Background, weight
from ztag_extauthz.component import Resources
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Decision, Request
from ztag_extauthz.reporting.interface import Reporter, Source
from ztag_extauthz.reporting.masking import NO_NAMES
from ztag_extauthz.reporting.recorded import Kept, Key, make, to_line
from ztag_extauthz.reporting.sinks import RotatingFile, opened
from ztag_extauthz.section import Section


class RecordingSettings(Section):
    """Keep a sample of the requests that reached a policy, so that `ztag replay` can put them to another one.

    Credentials are left out; who asked, claims too, is kept.
    """

    file_fields: ClassVar[tuple[str, ...]] = ("key_file",)

    kind: Literal["recording"]
    to: str = Field(min_length=1)
    """The path of a file, which is rotated."""
    sample: float = Field(default=0.01, gt=0, le=1)
    """The share of requests that is kept."""
    key_file: str | None = None
    """A file with 32 bytes in base64 (`openssl rand -base64 32`): what is kept is encrypted with them. Left out: plain
    text, which anybody who reads the file can read."""
    include_query: bool = False
    """Keep the query, for policies that read it. It may hold what nobody should read."""
    include_body: bool = False
    """Keep the body, for policies that read it. It may hold what nobody should read."""
    max_bytes: int = Field(default=100 * 1024 * 1024, ge=64 * 1024)
    """Bytes of the file before it becomes `<file>.1`."""
    backups: int = Field(default=5, ge=0, le=1000)
    """Rotated files that are kept."""
    max_waiting: int = Field(default=1000, ge=1)
    """Requests that may wait for the writer, of 64 MiB at most; what comes then is dropped and counted in
    `ztag_record_dropped_total`."""

    def build(self, resources: Resources) -> "Recording":
        """Look whether the file can be written. Raises `SettingsError` where it cannot, or where the key is none."""
        key = None if self.key_file is None else Key.read(resources.folder / self.key_file, "key_file")
        file = RotatingFile(resources.folder / self.to, self.max_bytes, self.backups)
        opened(file.check, self.to)
        return Recording(file, self, key, resources.meter)


class Recording(Reporter):
    """Chooses requests; a thread writes them."""

    kind = "recording"

    def __init__(self, file: RotatingFile, settings: RecordingSettings, key: Key | None, meter: Meter) -> None:
        self._file = file
        self._settings = settings
        self._key = key
        series = meter.series("ztag_record_dropped")
        self._writer = Background[tuple[Request, Decision]](
            "recorded requests",
            self._write,
            lambda requests: meter.add(series, requests),
            max_waiting=settings.max_waiting,
            batch=16,
        )
        self._sample = settings.sample
        self._credentials: AbstractSet[str] = NO_NAMES

    def attend(self, sources: Sequence[Source], credentials: AbstractSet[str]) -> None:  # noqa: ARG002 - nobody is asked
        """See `Reporter.attend`."""
        self._credentials = credentials

    async def start(self) -> None:
        """Open the file, and write. Raises `SettingsError`."""
        opened(self._file.open, self._settings.to)
        self._writer.start()

    async def close(self) -> None:
        if await self._writer.close():
            self._file.close()

    def report(self, request: Request, decision: Decision) -> None:
        """See `Reporter.report`."""
        if decision.identity is not None and random() < self._sample:  # noqa: S311 - which one, is no secret
            self._writer.put((request, decision), weight(request))

    def _write(self, batch: Sequence[tuple[Request, Decision]]) -> None:
        kept = Kept(self._settings.include_query, self._settings.include_body, self._credentials)
        for request, decision in batch:
            recorded = make(request, decision, kept)
            if recorded is not None:
                self._file.write([to_line(recorded, self._key)])
