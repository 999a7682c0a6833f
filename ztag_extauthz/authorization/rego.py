"""Rego policies, as opa-envoy-plugin asks them."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from msgspec import Struct
from pydantic import field_validator, model_validator

from ztag_extauthz.again import Again
from ztag_extauthz.authorization import opa_result
from ztag_extauthz.authorization.bundle.settings import BundleSettings, SigningSettings
from ztag_extauthz.authorization.bundle.source import BundleSource
from ztag_extauthz.authorization.cache.interface import Answers, NoAnswers
from ztag_extauthz.authorization.cache.levels import Levels
from ztag_extauthz.authorization.cache.settings import CacheSettings
from ztag_extauthz.authorization.cache.unlike import is_unlike, recurs
from ztag_extauthz.authorization.engines.build import Engines, placed
from ztag_extauthz.authorization.engines.interface import USUAL, Pending, PolicyEngine, Version, decision_path
from ztag_extauthz.authorization.engines.opa_settings import OpaSettings
from ztag_extauthz.authorization.input import opa_input
from ztag_extauthz.authorization.input.grpc_body import ProtoDescriptor
from ztag_extauthz.authorization.input.parse_error import ParseError
from ztag_extauthz.authorization.input.projection import Projection
from ztag_extauthz.authorization.interface import Authorizer, Question
from ztag_extauthz.authorization.shadow.comparison import ShadowSettings
from ztag_extauthz.component import Readiness, Resources
from ztag_extauthz.errors import CheckError
from ztag_extauthz.model import Allow, Context, Deny, Reason, Verdict
from ztag_extauthz.rego.values import Value
from ztag_extauthz.section import Section

if TYPE_CHECKING:
    from ztag_extauthz.rego.reads import Reads


class RegoSettings(Section):
    """Ask a Rego policy: it sees opa-envoy-plugin's `input`, `input.identity` and what earlier kinds found out."""

    file_fields: ClassVar[tuple[str, ...]] = ("policies", "proto_descriptor")

    kind: Literal["rego"]
    engine: Literal["embedded", "opa"] = "embedded"
    """Who evaluates: the engine inside ztag, or an OPA beside it (`opa`)."""
    opa: OpaSettings | None = None
    """Which OPA `engine: opa` asks."""
    policies: tuple[str, ...] = ()
    """`.rego` files, `data.json` or `data.yaml`, folders of them, bundles (`.tar.gz`). Tests (`*_test.rego`) are left
    out; in a folder, data is placed by the folders on its way. With `engine: opa`, ztag keeps them on that OPA; without
    any, that OPA's own policies decide."""
    bundle: BundleSettings | None = None
    """Policies and data that are fetched, and fetched again, besides those in `policies`."""
    signing: SigningSettings | None = None
    """Who has to have signed the bundles."""
    decision: str = USUAL
    """The rule that decides: a boolean, or opa-envoy-plugin's result object."""
    dry_run: bool = False
    """Let through what the policy denies, and only tell of it."""
    skip_request_body_parse: bool = False
    """Leave `parsed_body` and `truncated_body` out of the input."""
    proto_descriptor: str | None = None
    """A `FileDescriptorSet` (`protoc --descriptor_set_out --include_imports`) to read gRPC bodies with; Envoy has to
    send them with `pack_as_bytes`."""
    http_hosts: tuple[str, ...] = ()
    """The hosts (`pdp.example` or `pdp.example:8443`) that `http.send` may ask, by https (by http on loopback alone).
    Without any, policies that call it are refused. A policy that waits for a host makes the request wait too."""
    cache: CacheSettings | None = CacheSettings()
    """Remember answers; `null`: every request is decided anew."""
    shadow: ShadowSettings | None = None
    """A candidate that is asked beside, and never heard."""

    @field_validator("decision")
    @classmethod
    def _path(cls, decision: str) -> str:
        if not decision_path(decision) or any(character in decision for character in '"[]\\ \n'):
            raise ValueError("not a path to a rule; write it like `envoy/authz/result`")
        return decision

    @model_validator(mode="after")
    def _one_engine(self) -> "RegoSettings":
        if self.engine == "opa":
            self._check_opa()
        elif self.opa is not None:
            raise ValueError("opa is there, but engine is `embedded`\nwrite engine: opa, or leave opa out")
        elif not self.policies and self.bundle is None:
            raise ValueError("no policies\nname .rego files, folders of them, or bundles in `policies`, or add bundle")
        return self

    def _check_opa(self) -> None:
        if self.opa is None:
            raise ValueError("engine is `opa`, but which is not said\nadd opa: {url: http://127.0.0.1:8181}")
        if self.bundle is not None:
            raise ValueError("bundle is for the embedded engine\nhave that OPA fetch it: it knows how")
        if self.http_hosts:
            raise ValueError("http_hosts is for the embedded engine\nleave it out: OPA has its own allow_net")
        if self.opa.when_unavailable == "embedded" and not self.policies:
            raise ValueError("when_unavailable is `embedded`, but it has no policies\nname the same ones in `policies`")

    def build(self, resources: Resources) -> "Rego":
        """Load the policies; raises `PolicyError` or `SettingsError` with every mistake."""
        engines = Engines(self, resources)
        if self.bundle is None:
            with placed("policies"):
                return self._authorizer(engines.engine(), resources)
        rego = self._authorizer(Pending(lambda: source.readiness().detail), resources)

        def put(engine: PolicyEngine) -> None:
            rego.put_in_force(engine, resources.clock())

        source = BundleSource(self.bundle, lambda content: engines.load(content, rego.policy, put), resources)
        source.first()
        rego.follow(source)
        return rego

    def _authorizer(self, policy: PolicyEngine, resources: Resources) -> "Rego":
        descriptor = _descriptor(self.proto_descriptor, resources.folder)
        levels = None if self.cache is None else Levels(self.cache, resources)
        parts = (self, policy, descriptor, resources.clock(), levels)
        if self.shadow is None:
            return Rego(*parts)
        from ztag_extauthz.authorization.shadow.authorizer import Shadowed  # noqa: PLC0415 - it is a `Rego`, too

        return Shadowed(*parts, self.shadow.build(self, resources))


def _descriptor(path: str | None, folder: Path) -> ProtoDescriptor | None:
    return None if path is None else ProtoDescriptor.load(folder / path, path)


def _placed(error: CheckError, place: str, revision: str) -> CheckError:
    placed = type(error)(f"{place}: {error}")
    placed.policy_revision = revision
    return placed


class InForce(Struct, frozen=True):
    """One revision of the policy, and what is known of its answers: exchanged as a whole, so that none are mixed."""

    policy: PolicyEngine
    version: Version
    immediate: Callable[[Value, float], Value] | None
    projection: Projection | None
    """None where no key is worth making: the engine is given the whole document."""
    recurs: bool
    parse_body: bool
    answers: Answers
    readiness: Readiness


class Rego(Authorizer):
    """Asks one policy for one decision."""

    kind = "rego"

    def __init__(
        self,
        settings: RegoSettings,
        policy: PolicyEngine,
        descriptor: ProtoDescriptor | None,
        loaded_at: float,
        levels: Levels | None = None,
    ) -> None:
        """Without `levels` no answer is remembered. Raises `PolicyError`."""
        self._settings = settings
        self._descriptor = descriptor
        self._levels = levels
        self._identities = opa_input.Identities(opa_input.of_identity)
        self._source: BundleSource | None = None
        self._in_force = self._prepared(policy, loaded_at)

    @property
    def policy(self) -> PolicyEngine:
        """The engine that is asked."""
        return self._in_force.policy

    def follow(self, source: BundleSource) -> None:
        """Have the policies kept fresh by what fetches them, from `start` on."""
        self._source = source

    def put_in_force(self, policy: PolicyEngine, loaded_at: float) -> None:
        """Ask this engine from the next request on; `loaded_at` in Unix seconds. Raises `PolicyError`."""
        before, self._in_force = self._in_force, self._prepared(policy, loaded_at)
        before.answers.forget()
        if isinstance(before.policy, Pending) and policy is not before.policy:
            before.policy.give_way(policy)

    def _prepared(self, policy: PolicyEngine, loaded_at: float) -> InForce:
        settings, reads = self._settings, policy.reads()
        parse_body = not settings.skip_request_body_parse and _reads_body(reads)
        has_key = not any(map(is_unlike, reads.deep))
        projection = Projection(reads, self._descriptor, parse_body=parse_body) if has_key else None
        answers = NoAnswers() if self._levels is None else self._levels.of(policy, settings.decision)
        ready = Readiness(f"policy {settings.decision}", ready=True, updated_at=loaded_at)
        immediate, again = policy.immediate(), recurs(reads)
        return InForce(policy, policy.version, immediate, projection, again, parse_body, answers, ready)

    async def authorize(self, context: Context, deadline: float) -> Verdict:
        in_force = self._in_force
        try:
            try:
                verdict = await self._answer(in_force, context, deadline)
            except _SupersededError:
                in_force = self._in_force
                verdict = await self._answer(in_force, context, deadline)
        except ParseError as error:
            # Also in a dry run: nobody can say what the policy would have answered.
            return Deny(Reason.MALFORMED_REQUEST, str(error), body=f"request_parse_error: {error}")
        except CheckError as error:
            raise _placed(error, f"policy {self._settings.decision}", in_force.policy.version.revision) from None
        if self._settings.dry_run and isinstance(verdict, Deny):
            return Allow(metadata=verdict.metadata, shadowed=verdict, policy_revision=verdict.policy_revision)
        return verdict

    async def _answer(self, in_force: InForce, context: Context, deadline: float) -> Verdict:
        answers, projection = in_force.answers, in_force.projection
        if projection is None:
            answers.recall((), context)
            return await _ask(in_force, self.document(context), deadline)
        reading = projection.read(context)
        verdict = answers.recall(reading.key, context)
        if verdict is not None:
            return verdict

        def ask() -> Awaitable[Verdict]:
            return _ask(in_force, projection.document(reading), deadline)

        return await answers.find(reading.key, context, ask, deadline)

    def again(self, context: Context, verdict: Verdict) -> Again | None:
        in_force = self._in_force
        projection, version = in_force.projection, in_force.version
        if projection is None or not in_force.recurs:
            return None
        # In a dry run it is the refusal that is kept.
        answer = verdict.shadowed or verdict if isinstance(verdict, Allow) else verdict
        kept = in_force.answers.again(projection.read(context).key, context, answer)
        if kept is None:
            return None
        # Its version alone is held, so that policies and data that were replaced can be freed.
        return Again(lambda now: self._in_force.policy.version is version and kept.holds(now), kept.count)

    def document(self, context: Context) -> Value:
        """Return the whole `input`, of which the policy is given what it reads; raises `ParseError`."""
        return opa_input.build(
            context,
            self._descriptor,
            parse_body=self._in_force.parse_body,
            identity=self._identities(context.identity),
        )

    def questions(self, context: Context) -> Iterator[Question]:
        yield Question(self._settings.decision, self.policy, self.document(context))

    async def start(self) -> None:
        await self.policy.start()
        if self._levels is not None:
            await self._levels.start()
        if self._source is not None:
            await self._source.start()

    async def close(self) -> None:
        if self._source is not None:
            await self._source.close()
        self._in_force.answers.forget()
        if self._levels is not None:
            await self._levels.close()
        await self.policy.close()

    def release(self) -> list[Any]:
        return self.policy.release()

    def readiness(self) -> tuple[Readiness, ...]:
        fetched = () if self._source is None else (self._source.readiness(),)
        return (self._in_force.readiness, *self.policy.readiness(), *fetched)


class _SupersededError(Exception):
    """While others were asked for a remembered answer, the engine was given other data: its answer has another key."""


async def _ask(in_force: InForce, document: Value, deadline: float) -> Verdict:
    if in_force.immediate is not None:
        if in_force.policy.version is not in_force.version:
            raise _SupersededError
        value = in_force.immediate(document, deadline)
    else:
        value = await in_force.policy.ask(document, deadline)
    return opa_result.interpret(value, in_force.policy.version.revision)


def _reads_body(reads: "Reads") -> bool:
    """Tell whether a decision can depend on the body's meaning; whatever is not followed counts as if it could."""
    return any(not path or path[0] in opa_input.BODY for path in reads.deep | reads.exists)
