"""Decisions in the format of OPA's decision logs, uploaded in batches to an HTTP(S) endpoint.

1. report  keeps request and decision, in a bounded queue
2. event   a thread asks for the policy's `input` once more, takes secrets out, and applies masks and the drop rule
3. upload  what has gathered in `seconds` goes as gzipped JSON arrays to `<url>/logs`, again until it is taken; by way
           of the folder `buffer` where there is one, and then by a thread of its own
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal
from uuid import uuid4

from pydantic import Field, field_validator

from ztag_extauthz import __version__
from ztag_extauthz.background import Background, weight
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import Mistake, SettingsError
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Allow, Context, Decision, Deny, Failed, Reason, Request, Stage
from ztag_extauthz.rego.documents import dumps, from_python
from ztag_extauthz.reporting import masks
from ztag_extauthz.reporting.buffer import Buffer, Buffered
from ztag_extauthz.reporting.collector import Collector, check_url, pack
from ztag_extauthz.reporting.interface import Question, Reporter, Source
from ztag_extauthz.reporting.log_rules import LogRules
from ztag_extauthz.section import Seconds, Section

POLICIES = frozenset({Reason.POLICY, Reason.EVALUATION, Reason.MALFORMED_REQUEST, Reason.DEADLINE})
"""Reasons that a policy has; limits and risk answer with others, and are no decisions of a policy."""


class DecisionLogSettings(Section):
    """Upload the policies' decisions in the format of OPA's decision logs, with the input that each was made on.

    Credentials are always taken out, query and body unless they are asked for. Metrics and audit tell of every request,
    and cost less; this is for tools that read OPA's logs.
    """

    file_fields: ClassVar[tuple[str, ...]] = ("rules", "token_file", "ca")

    kind: Literal["decision_log"]
    url: str
    """The collector: gzipped JSON arrays are posted to `<url>/logs`. https, or http on loopback."""
    token_file: str | None = None
    """A file with the token that the collector asks for (`authorization: Bearer …`)."""
    ca: str | None = None
    """PEM file with the authorities of the collector's certificate; left out, those of the machine."""
    labels: Mapping[str, str] = {}
    """What every event says of its sender, beside `id` and `version`."""
    mask: tuple[str, ...] = ()
    """What else is taken out: pointers like `/input/identity/claims/email`."""
    rules: str | None = None
    """A `.rego` file with `system.log.mask` (a set of pointers, or of `{op, path, value}`) or `system.log.drop`."""
    include_query: bool = False
    """Leave the query in."""
    include_body: bool = False
    """Leave the body in."""
    seconds: Seconds = 5.0
    """Events gather for so long before they are uploaded."""
    upload_bytes: int = Field(default=1024 * 1024, ge=4096)
    """Bytes of one upload at most, before it is compressed."""
    max_waiting: int = Field(default=5000, ge=1)
    """Decisions that may wait, of 64 MiB at most; what comes then is dropped and counted in
    `ztag_decision_log_dropped_total`."""
    buffer: str | None = None
    """A folder where uploads wait for a collector that is away, over restarts too; the workers of one node share it.
    Left out: decisions wait in memory, `max_waiting` of them."""
    buffer_bytes: int = Field(default=64 * 1024 * 1024, ge=64 * 1024)
    """Bytes in that folder at most, compressed as they are sent; then the oldest are dropped and counted."""

    @field_validator("url")
    @classmethod
    def _safe(cls, url: str) -> str:
        return check_url(url)

    @field_validator("mask")
    @classmethod
    def _pointers(cls, pointers: tuple[str, ...]) -> tuple[str, ...]:
        for pointer in pointers:
            masks.rule(pointer)
        return pointers

    def build(self, resources: Resources) -> "DecisionLog":
        """Read the rules and the token. Raises `PolicyError`, `SettingsError`."""
        folder = resources.folder
        token = "" if self.token_file is None else _read(folder / self.token_file, "token_file").strip()
        collector = Collector(self.url, token, None if self.ca is None else folder / self.ca)
        rules = None if self.rules is None else LogRules(self.rules, _read(folder / self.rules, "rules"))
        return DecisionLog(
            self, collector, rules, resources.meter, None if self.buffer is None else folder / self.buffer
        )


def _read(path: Path, setting: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else "is no UTF-8"
        raise SettingsError((Mistake(str(path), what, "", setting),)) from error


class DecisionLog(Reporter):
    """Keeps decisions until the thread has uploaded them."""

    kind = "decision_log"

    def __init__(
        self,
        settings: DecisionLogSettings,
        collector: Collector,
        rules: LogRules | None,
        meter: Meter,
        folder: Path | None = None,
    ) -> None:
        """Without a `folder` uploads wait in memory."""
        self._settings = settings
        self._collector = collector
        self._rules = rules
        self._masks = tuple(map(masks.rule, settings.mask))
        self._labels = {**settings.labels, "id": str(uuid4()), "version": f"ztag {__version__}"}
        self._sources: Sequence[Source] = ()
        self._left = masks.Left(settings.include_query, settings.include_body)
        series = meter.series("ztag_decision_log_dropped")
        self._waiting = Background[tuple[Request, Decision]](
            "decision logs",
            self._work,
            lambda events: meter.add(series, events),
            max_waiting=settings.max_waiting,
            batch=500,
            pause=settings.seconds,
        )
        drop = self._waiting.drop
        self._buffered: Buffered | None = None
        if folder is not None:
            buffer = Buffer(folder, settings.buffer_bytes, drop)
            self._buffered = Buffered(buffer, collector, drop, settings.seconds)

    def attend(self, sources: Sequence[Source], credentials: AbstractSet[str]) -> None:
        """See `Reporter.attend`."""
        self._sources = sources
        self._left = masks.Left(self._settings.include_query, self._settings.include_body, credentials)

    async def start(self) -> None:
        """Begin to upload. Raises `SettingsError` where the buffer cannot be written."""
        if self._buffered is not None:
            try:
                self._buffered.start()
            except OSError as error:
                mistake = Mistake(self._settings.buffer or "", f"cannot be written: {error.strerror}", "", "buffer")
                raise SettingsError((mistake,)) from error
        self._waiting.start()

    async def close(self) -> None:
        await self._waiting.close()
        if self._buffered is not None:
            await self._buffered.close()

    def report(self, request: Request, decision: Decision) -> None:
        """See `Reporter.report`."""
        verdict = decision.verdict
        if decision.stage is Stage.AUTHORIZATION and (isinstance(verdict, Allow) or verdict.reason in POLICIES):
            self._waiting.put((request, decision), weight(request))

    def _work(self, batch: Sequence[tuple[Request, Decision]]) -> None:
        chunk: list[bytes] = []
        size = 0
        for line in self._lines(batch):
            if chunk and size + len(line) > self._settings.upload_bytes:
                self._upload(chunk)
                chunk, size = [], 0
            chunk.append(line)
            size += len(line) + 1
        if chunk:
            self._upload(chunk)

    def _upload(self, events: Sequence[bytes]) -> None:
        try:
            if self._buffered is not None:
                self._buffered.put(events)
            else:
                self._collector.upload(pack(events), self._waiting.closing)
        except OSError as error:
            self._waiting.lose(error, len(events))

    def _lines(self, batch: Sequence[tuple[Request, Decision]]) -> Iterator[bytes]:
        for request, decision in batch:
            began = time.thread_time()
            try:
                event = self.event(request, decision)
                if event is not None:
                    yield dumps(event).encode()
            except Exception:  # noqa: BLE001 - what cannot be masked is not sent, and the others are
                self._waiting.drop(1)
            # Half of this thread's time is for those who wait for an answer.
            time.sleep(time.thread_time() - began)

    def event(self, request: Request, decision: Decision) -> dict[str, Any] | None:
        """Return what is told of a decision; None where no policy was asked, or the drop rule is true."""
        question = self._question(request, decision)
        if question is None:
            return None
        event = self._told(question, decision)
        found = self._masks if self._rules is None else (*self._masks, *self._rules.masks(event))
        if self._rules is not None and self._rules.drops(event):
            return None
        always = masks.sensitive(question.document, self._left)
        said = masks.answered(event.get("result", {}), self._left)
        return masks.apply(event, [*always, *said, *found])

    def _question(self, request: Request, decision: Decision) -> Question | None:
        """Return what the policy was asked that had the last word: where several were, told apart by their revision."""
        if decision.identity is None:
            return None
        context = Context(request, decision.identity, decision.facts)
        asked = [each for source in self._sources for each in source.questions(context)]
        revision = decision.verdict.policy_revision
        said = [each for each in asked if each.policy.version.revision == revision] or asked
        return said[-1] if said else None

    def _told(self, question: Question, decision: Decision) -> dict[str, Any]:
        verdict, timings = decision.verdict, decision.timings
        nanoseconds = timings.admission + timings.authentication + timings.authorization
        event: dict[str, Any] = {
            "labels": self._labels,
            "decision_id": decision.id,
            "path": question.name.replace(".", "/"),
            "input": question.document,
            "timestamp": datetime.fromtimestamp(decision.time, UTC).isoformat().replace("+00:00", "Z"),
            "metrics": {"timer_rego_query_eval_ns": timings.authorization, "timer_server_handler_ns": nanoseconds},
        }
        if verdict.policy_revision:
            event["revision"] = verdict.policy_revision
            event["bundles"] = {"ztag": {"revision": verdict.policy_revision}}
        if isinstance(verdict, Failed):
            event["error"] = {"code": verdict.reason.value, "message": verdict.detail}
        else:
            event["result"] = from_python(result(verdict))
        return event


def result(verdict: Allow | Deny) -> dict[str, Any]:
    """Return the decision that a verdict stands for, as opa-envoy-plugin's object without what asks for nothing."""
    said = verdict.shadowed or verdict if isinstance(verdict, Allow) else verdict
    parts: dict[str, Any] = {"dynamic_metadata": dict(said.metadata)}
    if isinstance(said, Allow):
        parts |= {
            "headers": _headers(said.request_headers),
            "response_headers_to_add": _headers(said.response_headers),
            "request_headers_to_remove": list(said.request_headers_to_remove),
            "query_parameters_to_set": _headers(said.query_parameters),
            "query_parameters_to_remove": list(said.query_parameters_to_remove),
        }
    else:
        parts |= {"headers": _headers(said.headers), "body": said.body, "http_status": said.status}
    return {"allowed": isinstance(said, Allow), **{name: value for name, value in parts.items() if value}}


def _headers(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return names with their value, or with all of them where a name occurs more than once."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}
