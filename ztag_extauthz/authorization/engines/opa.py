"""The engine `opa`: the same question, asked of an OPA server or sidecar."""

import asyncio
import dataclasses
import logging
from collections.abc import Iterable
from pathlib import Path
from time import monotonic, time
from typing import Any, Final
from urllib.parse import quote

from msgspec.structs import replace

from ztag_extauthz.authorization.bundle.files import Bundle
from ztag_extauthz.authorization.engines.embedded import Embedded
from ztag_extauthz.authorization.engines.interface import ANSWER_MARGIN, PolicyEngine, Version, decision_path
from ztag_extauthz.authorization.engines.opa_client import Answer, OpaClient, refused
from ztag_extauthz.authorization.engines.opa_publish import Published, Publisher
from ztag_extauthz.authorization.engines.opa_settings import OpaSettings
from ztag_extauthz.component import Readiness, cancelled
from ztag_extauthz.errors import (
    CheckError,
    DeadlineError,
    EvaluationError,
    UnavailableError,
    UnsupportedError,
)
from ztag_extauthz.fetch import bearer, tls_context
from ztag_extauthz.rego.documents import dumps, loads
from ztag_extauthz.rego.explain import Explanation
from ztag_extauthz.rego.reads import UNKNOWN, Reads
from ztag_extauthz.rego.values import UNDEFINED, Value

LOG = logging.getLogger("ztag.opa")
PAUSE: Final = 1.0
"""Seconds that an OPA that did not answer is left alone where somebody else can."""
_LOOK: Final = 30.0
"""Seconds that putting the policies on an OPA may take at its start."""


def build(settings: OpaSettings, loaded: Bundle | None, decision: str, folder: Path) -> "Opa":
    """Return the engine; `loaded` are the policies to be kept there, None where OPA has its own.

    Raises `PolicyError` for what OPA would not take either, and for what has to be compiled and cannot.
    """
    local = None if loaded is None else _compile(loaded, decision, strict=settings.when_unavailable == "embedded")
    context = tls_context(folder / settings.ca if settings.ca else None, "opa.ca")
    secret = bearer(settings.token_file, folder, "opa.token_file")
    client = OpaClient(settings.url, context, secret, settings.connections)
    if loaded is None:
        path = "/".join(quote(part, safe="") for part in decision_path(decision))
        return Opa(settings, client, f"/v1/data/{path}?provenance=true")
    published = Published(loaded.modules, loaded.data, loaded.version, time())
    publisher = Publisher(client, published, decision, settings.prefix)
    return Opa(settings, client, publisher.path, publisher, local)


def _compile(loaded: Bundle, decision: str, *, strict: bool) -> Embedded | None:
    """Compile what OPA is given, None where only OPA can: a built-in function that ztag does not have."""
    try:
        return Embedded(loaded.modules, loaded.data, decision, version=loaded.version)
    except UnsupportedError as error:
        if strict:
            raise
        LOG.warning("decision %s: OPA is sent the whole input, and no answer is remembered: %s", decision, error)
        return None


class Opa(PolicyEngine):
    """Asks one OPA for one decision."""

    def __init__(
        self,
        settings: OpaSettings,
        client: OpaClient,
        path: str,
        publisher: Publisher | None = None,
        local: Embedded | None = None,
    ) -> None:
        self.version = Version() if publisher is None else publisher.version
        self._settings = settings
        self._client = client
        self._path = path
        self._publisher = publisher
        self._local = local
        self._fallback = local.evaluate if local and settings.when_unavailable == "embedded" else None
        self._down_until = 0.0
        self._reached = Readiness(f"OPA at {client.name}", self._fallback is not None, "not reached yet")
        self._reaching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._client.start()
        self._reaching = asyncio.create_task(self._reach(), name=self._reached.component)

    async def close(self) -> None:
        await cancelled(self._reaching)
        if self._publisher is not None:
            await self._publisher.close()
        await self._client.close()

    def readiness(self) -> tuple[Readiness, ...]:
        return (self._reached,)

    async def _reach(self) -> None:
        """Try until OPA answers and has policies; the first question would find out too, but nobody would be told."""
        pause = PAUSE / 8
        while True:
            try:
                await self._look(monotonic() + _LOOK)
            except CheckError as error:
                if self._reached.detail != str(error):
                    LOG.warning("%s", error)
                self._reached = replace(self._reached, detail=str(error))
            else:
                self._reached = replace(self._reached, ready=True, detail="", updated_at=time())
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, 4 * PAUSE)

    async def _look(self, deadline: float) -> None:
        if self._publisher is not None:
            await self._publisher.first(deadline)
            return
        answer = await self._client.send("GET", "/health", None, deadline)
        if answer.status != 200:
            raise refused(answer, "/health")

    async def ask(self, document: Value, deadline: float) -> Value:
        if monotonic() > deadline:
            raise DeadlineError("the deadline was over before the policy was asked")
        if self._fallback is None:
            return await self._ask(document, deadline)
        if monotonic() >= self._down_until:
            try:
                return await self._ask(document, deadline)
            except UnavailableError as error:
                self._down_until = monotonic() + PAUSE
                LOG.warning("%s; the embedded engine answers", error)
        return self._fallback(document, deadline)

    async def _ask(self, document: Value, deadline: float) -> Value:
        until = min(deadline - ANSWER_MARGIN, monotonic() + self._settings.timeout)
        body = f'{{"input":{dumps(document, escape_html=False)}}}'.encode()
        if self._publisher is None:
            document = read(await self._client.send("POST", self._path, body, until))
            self._note(document.get("provenance"))
            return document.get("result", UNDEFINED)
        result = await self._result(body, until)
        if result.get("digest") != self.version.digest.hex():
            await self._publisher.ensure(until)
            result = await self._result(body, until)
        if result.get("digest") != self.version.digest.hex():
            raise UnavailableError(f"OPA at {self._client.name} has other policies again")
        return result.get("decision", UNDEFINED)

    def _note(self, provenance: Any) -> None:
        """Remember the revisions of OPA's own bundles; `revision` alone where it was started with one."""
        if provenance is None:
            return
        revisions = _revisions(provenance)
        if revisions is None:
            raise UnavailableError(f"OPA at {self._client.name} answers with a provenance of another shape")
        revision = ",".join(filter(None, revisions))
        if revision != self.version.revision:
            self.version = Version(revision)

    async def _result(self, body: bytes, until: float) -> dict[str, Any]:
        result = read(await self._client.send("POST", self._path, body, until)).get("result", {})
        return result if isinstance(result, dict) else {}

    def reads(self) -> Reads:
        """Return what the decision can depend on; what OPA has of its own changes unheard."""
        if self._local is None or self._publisher is None:
            return UNKNOWN
        found = self._local.reads()
        own = {".".join(("data", *path)) for path in found.data if not self._publisher.keeps(path)}
        return dataclasses.replace(found, impure=found.impure | own)

    def annotations(self) -> Iterable[tuple[str, Value]]:
        return () if self._local is None else self._local.annotations()

    def explain(self, document: Value, deadline: float) -> Explanation:
        """Return what the embedded engine finds with the same policies; OPA's own cannot be explained here."""
        return Explanation(UNDEFINED, None, ()) if self._local is None else self._local.explain(document, deadline)


def read(answer: Answer) -> dict[str, Any]:
    """Return OPA's document. Raises `EvaluationError` where the policy failed, `UnavailableError` otherwise."""
    try:
        document = loads(answer.body, unique=True)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise refused(answer, "the decision")
    if answer.status == 200:
        return document
    errors = document.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    code = first.get("code") if isinstance(first, dict) else None
    if answer.status != 500 or not isinstance(code, str) or not code.startswith("eval_"):
        raise refused(answer, "the decision")
    # The text may hold values of the input: only the place and the kind are told.
    raise EvaluationError(f"the policy failed: {code} at {_place(first)}")


def _revisions(provenance: Any) -> list[str] | None:
    """Return the revisions in an answer's provenance; None where it has another shape than OPA's."""
    bundles = provenance.get("bundles") or {"": provenance} if isinstance(provenance, dict) else None
    if not isinstance(bundles, dict) or not all(isinstance(bundle, dict) for bundle in bundles.values()):
        return None
    revisions = [bundle.get("revision", "") for bundle in bundles.values()]
    return revisions if all(isinstance(revision, str) for revision in revisions) else None


def _place(error: Any) -> str:
    location = error.get("location")
    if not isinstance(location, dict):
        return "no certain place"
    return f"{location.get('file') or '?'}:{location.get('row')}:{location.get('col')}"
