"""Recorded requests, put to the policies of a configuration, or to others."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ztag_extauthz.authorization.engines.interface import USUAL
from ztag_extauthz.authorization.input.opa_input import BODY
from ztag_extauthz.authorization.interface import Authorizer
from ztag_extauthz.authorization.profiles import ProfilesSettings
from ztag_extauthz.authorization.rego import RegoSettings
from ztag_extauthz.cli.common import load_settings, read_text, resources_for, sections_of
from ztag_extauthz.envoy import decode
from ztag_extauthz.envoy.protojson import check_request
from ztag_extauthz.errors import MistakesError, ZtagError
from ztag_extauthz.model import Allow, Context, Deny, Failed, Outcome, Reason, Verdict
from ztag_extauthz.pipeline import failed
from ztag_extauthz.reporting.record import rule_of
from ztag_extauthz.reporting.recorded import Key, Recorded, read
from ztag_extauthz.settings import Settings

if TYPE_CHECKING:
    from ztag_extauthz.rego.explain import Event

SECONDS = 10.0
"""A policy's answer to one request ends after so long."""
NOT_THE_POLICY = frozenset(set(Reason) - {Reason.POLICY, Reason.EVALUATION, Reason.MALFORMED_REQUEST})
"""Reasons of refusals that another policy would not change: limits, risk, what was down."""
_BY_TIME = frozenset({"time.now_ns"})


class Change(Struct, frozen=True):
    """What one recorded request comes to."""

    id: str
    subject: str
    method: str
    path: str
    before: str
    after: str
    rule: str
    """The rule that decided now: as the policy names it (`rule` of its `dynamic_metadata`), or where it stands."""

    @property
    def differs(self) -> bool:
        return self.before != self.after


def load(file: str, key_file: Path | None) -> list[Recorded]:
    """Read a recording. Raises `ZtagError`, `OSError`."""
    key = None if key_file is None else Key.read(key_file, "--key-file")
    try:
        return list(read(read_text(file).splitlines(), key))
    except ZtagError as error:
        raise ZtagError(f"{file}: {error}") from None


def policies(config: Path, paths: Sequence[str], decision: str | None) -> list[Authorizer]:
    """Build the policies of a configuration, or of `paths` in their place. Raises `ZtagError`."""
    if paths:
        decision = decision or (decision_of(load_settings(config)) if config.exists() else USUAL)
        return [RegoSettings(kind="rego", policies=tuple(paths), decision=decision).build(resources_for(Path()))]
    settings = load_settings(config)
    resources = resources_for(config.parent)
    found: list[Authorizer] = []
    for index, section in enumerate(settings.authorization):
        if isinstance(section, RegoSettings | ProfilesSettings):
            try:
                found.append(_alone(section).build(resources))
            except MistakesError as error:
                raise type(error)(error.of(f"authorization[{index}]")) from None
    if not found:
        raise ZtagError(f"{config}: authorization has no policy to ask")
    return found


def decision_of(settings: Settings) -> str:
    """Return the one decision that a configuration asks for. Raises `ZtagError`."""
    asked = sorted({each.decision for each in sections_of(settings, RegoSettings)})
    if len(asked) > 1:
        raise ZtagError(f"the configuration asks for {', '.join(asked)}: name one by --decision")
    return asked[0] if asked else USUAL


def _alone(section: RegoSettings | ProfilesSettings) -> RegoSettings | ProfilesSettings:
    """Return the settings without what a server shares with others: remembered answers, and a candidate."""
    if isinstance(section, RegoSettings):
        return section.model_copy(update={"cache": None, "shadow": None})
    profiles = tuple(each.model_copy(update={"policy": _alone(each.policy)}) for each in section.profiles)
    return section.model_copy(update={"profiles": profiles})


def context(recorded: Recorded) -> Context:
    """Return what the policies were asked about. Raises `MessageError`."""
    return Context(decode(check_request(json.dumps(recorded.request))), recorded.identity, recorded.facts)


async def ask(authorizers: Sequence[Authorizer], asked: Context) -> Verdict | Failed:
    """Put a request to every policy in turn, as the pipeline does."""
    verdict: Verdict | Failed = Allow()
    for authorizer in authorizers:
        try:
            verdict = await authorizer.authorize(asked, monotonic() + SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is no answer
            return failed(error, authorizer.kind)
        if isinstance(verdict, Deny):
            return verdict
        if verdict.shadowed is not None:
            return verdict.shadowed
    return verdict


def replay(recording: Sequence[Recorded], authorizers: Sequence[Authorizer]) -> list[Change]:
    """Return what each request comes to. Those that something else than a policy refused are left out."""
    mine = [each for each in recording if each.reason not in NOT_THE_POLICY]
    return asyncio.run(_replay(mine, authorizers))


async def _replay(recording: Sequence[Recorded], authorizers: Sequence[Authorizer]) -> list[Change]:
    async with AsyncExitStack() as started:
        for authorizer in authorizers:
            started.push_async_callback(authorizer.close)
            await authorizer.start()
        return [await _change(each, authorizers) for each in recording]


async def _change(recorded: Recorded, authorizers: Sequence[Authorizer]) -> Change:
    asked = context(recorded)
    verdict = await ask(authorizers, asked)
    after = (
        Outcome.ERROR if isinstance(verdict, Failed) else Outcome.DENY if isinstance(verdict, Deny) else Outcome.ALLOW
    )
    rule = rule_of(verdict)
    if not rule and after != recorded.outcome:
        rule = verdict.detail if isinstance(verdict, Failed) else deciding_rule(authorizers, asked, verdict)
    path = asked.request.path.partition("?")[0]
    subject = recorded.identity.subject
    return Change(recorded.id, subject, asked.request.method, path, recorded.outcome, after, rule)


def deciding_rule(authorizers: Sequence[Authorizer], asked: Context, verdict: Verdict) -> str:
    """Return the rule that the last policy's answer came from: of an allow, the last one that was true."""
    events: tuple[Event, ...] = ()
    for authorizer in authorizers:
        for question in authorizer.questions(asked):
            events = question.policy.explain(question.document, monotonic() + SECONDS).events
    gave = [event for event in events if event.kind == "gave"]
    if isinstance(verdict, Allow):
        gave = [event for event in gave if event.values == (True,)] or gave
    return f"{gave[-1].file}:{gave[-1].line} {gave[-1].rule}" if gave else "no rule held"


def blind_spots(recording: Sequence[Recorded], authorizers: Sequence[Authorizer]) -> Iterator[str]:
    """Yield what the policies read and the recording lacks, so that their answers may differ for that alone."""
    for authorizer in authorizers:
        for question in authorizer.questions(context(recording[0])) if recording else ():
            reads = question.policy.reads()
            first = {path[0] for path in reads.deep | reads.exists if path}
            if BODY & first and not any(_http(each).keys() & {"body", "rawBody"} for each in recording):
                yield f"{question.name} reads the body, which was not recorded (include_body)"
            if "parsed_query" in first and not any("?" in _http(each).get("path", "") for each in recording):
                yield f"{question.name} reads the query, which was not recorded (include_query)"
            if reads.impure & _BY_TIME:
                yield f"{question.name} reads the time: it sees that of the replay"


def _http(recorded: Recorded) -> dict[str, Any]:
    found: dict[str, Any] = recorded.request.get("attributes", {}).get("request", {}).get("http", {})
    return found
