"""The cache as a whole, on the server's own path: the authorizer is asked, and what the engine was asked is counted."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from tests.authentication.parts import Clock
from tests.authorization.cache.parts import Cached, Said, policy
from tests.envoy.checks import ALICE, run
from ztag_extauthz.authorization.cache.interface import FarAnswers
from ztag_extauthz.component import Memory
from ztag_extauthz.errors import CheckError, EvaluationError
from ztag_extauthz.model import Allow, Deny, Identity, Reason
from ztag_extauthz.rego.values import Value
from ztag_extauthz.stores.shared import shared_memory

BOB = replace(ALICE, subject="bob")
BY_SUBJECT = 'result := {"allowed": input.identity.subject != "eve", "headers": {"x-user": input.identity.subject}}'
BY_ROLE = 'result := "admin" in input.identity.claims.roles'


@pytest.fixture
def memory(tmp_path: Any) -> Any:
    with shared_memory(tmp_path) as shared:
        yield shared


def test_an_answer_is_given_again() -> None:
    engine = policy(BY_SUBJECT)
    cached = Cached(engine)
    first = run(cached.ask("/a"))
    for _ in range(3):  # the worker keeps for itself what is asked for a second time
        assert run(cached.ask("/b?x=1", method="POST")) == first
    assert engine.asked == 1
    assert cached.hits() == {"worker": 2, "node": 1, "miss": 1}


def test_the_workers_of_a_node_share_answers(memory: Memory) -> None:
    engine = policy(BY_SUBJECT)
    one, other = Cached(engine, memory), Cached(engine, memory)
    assert run(one.ask()) == run(other.ask()) == run(other.ask())
    assert engine.asked == 1
    assert other.hits() == {"worker": 1, "node": 1}


def test_without_a_memory_of_its_own_a_worker_asks_the_table() -> None:
    cached = Cached(policy(BY_SUBJECT), worker_bytes=0)
    run(cached.ask())
    run(cached.ask())
    assert cached.hits() == {"node": 1, "miss": 1}


def test_an_answer_that_depends_on_roles_is_shared_by_those_who_have_them() -> None:
    engine = policy(BY_ROLE)
    cached = Cached(engine)
    for subject in "abcdef":
        assert run(cached.ask(identity=replace(ALICE, subject=subject, claims={"roles": ["admin"]}))) == Allow(
            policy_revision=b"1".hex()
        )
    assert isinstance(run(cached.ask(identity=replace(ALICE, claims={"roles": ["dev"]}))), Deny)
    assert engine.asked == 2


@pytest.mark.parametrize("level", ["worker", "node"])
def test_never_4_nobody_gets_an_answer_that_was_made_for_somebody_else(level: str) -> None:
    cached = Cached(policy(BY_SUBJECT), worker_bytes=0 if level == "node" else 1 << 20)
    people = [replace(ALICE, subject=f"s{number}") for number in range(40)] + [replace(ALICE, subject="eve")]
    for person in [*people, *people, *people, *reversed(people)]:
        found = run(cached.ask(identity=person))
        if person.subject == "eve":
            assert isinstance(found, Deny)
        else:
            assert found.request_headers == (("x-user", person.subject),)
    assert cached.hits()[level] > 50


@pytest.mark.parametrize("level", ["worker", "node"])
def test_never_4_an_answer_is_not_given_after_its_end(level: str) -> None:
    engine = policy(BY_SUBJECT)
    cached = Cached(engine, ttl=10, worker_bytes=0 if level == "node" else 1 << 20)
    for seconds, asked in ((0, 1), (9.9, 1), (10, 2), (19.9, 2), (20, 3)):
        cached.clock.now = Clock().now + seconds
        run(cached.ask())
        assert engine.asked == asked


@pytest.mark.parametrize("level", ["worker", "node"])
def test_never_4_an_answer_is_not_given_after_the_token_has_ended(level: str) -> None:
    engine = policy(BY_SUBJECT)
    cached = Cached(engine, worker_bytes=0 if level == "node" else 1 << 20)
    short = replace(ALICE, expires_at=cached.clock.now + 5)
    run(cached.ask(identity=short))
    cached.clock.now += 4.9
    run(cached.ask(identity=short))
    assert engine.asked == 1
    cached.clock.now += 0.1
    run(cached.ask(identity=short))
    assert engine.asked == 2


@pytest.mark.parametrize("level", ["worker", "node"])
def test_never_4_an_answer_from_the_future_is_none(level: str) -> None:
    """A clock that was set back must not make answers live longer."""
    engine = policy(BY_SUBJECT)
    cached = Cached(engine, worker_bytes=0 if level == "node" else 1 << 20)
    run(cached.ask())
    cached.clock.now -= 30
    run(cached.ask())
    assert engine.asked == 2


@pytest.mark.parametrize("level", ["worker", "node"])
@pytest.mark.parametrize(
    ("tag", "meant"),
    [
        ("all", True),
        ("subject:https://issuer.example|alice", True),
        ("subject:https://issuer.example|bob", False),
        ("tenant:acme", True),
        ("tenant:other", False),
        ("resource:shop.example/orders", True),
        ("resource:shop.example/", False),
    ],
)
def test_never_4_an_answer_that_was_forgotten_is_made_anew(tag: str, meant: bool, level: str) -> None:  # noqa: FBT001
    engine, said = policy(BY_SUBJECT), Said()
    worker_bytes = 0 if level == "node" else 1 << 20
    cached = Cached(engine, forgotten=said, tenant_claim="org", worker_bytes=worker_bytes)
    alice = replace(ALICE, claims={"org": "acme"})
    run(cached.ask("/orders?x=1", alice))
    said.tags[tag] = cached.clock.now
    cached.clock.now += 1
    run(cached.ask("/orders?x=1", alice))
    assert engine.asked == (2 if meant else 1)
    run(cached.ask("/orders?x=1", alice))
    assert engine.asked == (2 if meant else 1)


def test_never_4_an_answer_whose_making_began_before_it_was_forgotten_is_none() -> None:
    said = Said()
    engine = policy(BY_SUBJECT)
    cached = Cached(engine, forgotten=said)
    evaluate = engine.evaluate

    def forgotten_meanwhile(document: Value, deadline: float) -> Value:
        cached.clock.now += 1
        said.tags["all"] = cached.clock.now
        cached.clock.now += 1
        return evaluate(document, deadline)

    cached.rego._in_force = replace(cached.rego._in_force, immediate=forgotten_meanwhile)
    run(cached.ask())
    cached.rego._in_force = replace(cached.rego._in_force, immediate=evaluate)
    run(cached.ask())
    run(cached.ask())
    assert engine.asked == 2


def test_never_4_an_answer_of_another_revision_is_none(memory: Memory) -> None:
    said_yes, says_no = policy("result := true", b"1"), policy("result := false", b"2")
    cached = Cached(said_yes, memory)
    assert isinstance(run(cached.ask()), Allow)
    cached.rego.put_in_force(says_no, 0.0)
    assert isinstance(run(cached.ask()), Deny)
    assert isinstance(run(Cached(says_no, memory).ask()), Deny)
    assert isinstance(run(Cached(said_yes, memory).ask()), Allow)


def test_never_4_an_answer_on_its_way_when_the_revision_changes_is_of_the_old_one() -> None:
    old, new = policy("result := true", b"1"), policy("result := false", b"2")
    cached = Cached(old)
    in_force = cached.rego._in_force
    going = Going()
    cached.rego._in_force = replace(in_force, immediate=None, policy=going)

    async def exchanged() -> None:
        asking = asyncio.create_task(cached.ask())
        await going.begun.wait()
        cached.rego.put_in_force(new, 0.0)
        going.end.set()
        assert isinstance(await asking, Allow)
        for _ in range(2):
            assert isinstance(await cached.ask(), Deny)
        assert cached.count("ztag_cache_entries") == 1

    run(exchanged())


class Going(type(policy("result := true"))):  # type: ignore[misc]
    """Answers yes when it is told to."""

    def __init__(self) -> None:
        super().__init__({"p.rego": "package p\nresult := true"}, {}, "p/result")
        self.begun, self.end, self.error = asyncio.Event(), asyncio.Event(), False

    async def ask(self, document: Value, deadline: float) -> Value:  # noqa: ARG002
        self.asked += 1
        self.begun.set()
        await self.end.wait()
        if self.error:
            raise EvaluationError("no answer")
        return True


@pytest.mark.parametrize("text", ["result if input.identity.nobody", 'result := "yes"', "result := {}"])
def test_what_failed_is_not_remembered(text: str) -> None:
    engine = policy(text)
    cached = Cached(engine)
    for asked in (1, 2, 3):
        with pytest.raises(EvaluationError):
            run(cached.ask())
        assert engine.asked == asked


def test_a_request_that_cannot_be_parsed_is_denied_again_and_again() -> None:
    cached = Cached(policy(BY_SUBJECT))
    run(cached.ask("/a"))
    for _ in range(2):
        assert run(cached.ask("/a?b;c")).reason is Reason.MALFORMED_REQUEST


def test_a_dry_run_tells_of_what_is_remembered() -> None:
    cached = Cached(policy("result := false"))
    cached.rego._settings = cached.rego._settings.model_copy(update={"dry_run": True})
    for _ in range(3):
        found = run(cached.ask())
        assert isinstance(found, Allow)
        assert found.shadowed is not None
    cached.rego._settings = cached.rego._settings.model_copy(update={"dry_run": False})
    assert isinstance(run(cached.ask()), Deny)
    assert cached.hits() == {"worker": 2, "node": 1, "miss": 1}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("result if time.now_ns() > 0", "impure"),
        ("result if walk(input, [_, 1])", "unlike"),
        ("result if count(input.attributes.request.http.headers) > 0", "unlike"),
        ("# METADATA\n# custom: {ztag: {ttl: 0s}}\nresult := true", "short_lived"),
    ],
)
def test_what_may_differ_the_next_time_is_not_remembered_and_counted(text: str, why: str) -> None:
    engine = policy(f"default result := false\n{text}")
    cached = Cached(engine)
    run(cached.ask())
    run(cached.ask())
    assert engine.asked == 2
    assert cached.count("ztag_cache_uncached", why) == 2
    assert cached.hits() == {}


def test_without_a_known_revision_nothing_is_remembered() -> None:
    engine = policy(BY_SUBJECT, b"")
    cached = Cached(engine)
    run(cached.ask())
    run(cached.ask())
    assert (engine.asked, cached.count("ztag_cache_uncached", "unversioned")) == (2, 2)


def test_an_answer_too_large_for_a_slot_is_the_workers_own(memory: Memory) -> None:
    engine = policy('result := {"allowed": true, "headers": {"x-long": sprintf("%0500d", [1])}}')
    one, other = Cached(engine, memory, entry_bytes=256), Cached(engine, memory, entry_bytes=256)
    assert run(one.ask()) == run(one.ask()) == run(other.ask())
    assert engine.asked == 2
    assert one.count("ztag_cache_uncached", "too_large") == 1


class Far(FarAnswers):
    """Other replicas' answers, in a dictionary; None where they cannot be reached."""

    secret = b"the same on all replicas"

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] | None = {}
        self.lifetimes: list[float] = []

    async def get(self, digest: bytes, deadline: float) -> bytes | None:  # noqa: ARG002
        await asyncio.sleep(0)
        return None if self.kept is None else self.kept.get(digest)

    def put(self, digest: bytes, value: bytes, lifetime: float) -> None:
        self.lifetimes.append(lifetime)
        if self.kept is not None:
            self.kept[digest] = value


def test_replicas_share_answers() -> None:
    far, engine = Far(), policy(BY_SUBJECT)
    one, other = Cached(engine, far=far), Cached(engine, far=far)
    assert run(one.ask()) == run(other.ask()) == run(other.ask())
    assert engine.asked == 1
    assert other.hits() == {"node": 1, "replicas": 1}
    assert far.lifetimes == [60.0]


def test_replicas_that_cannot_be_reached_are_a_miss() -> None:
    far, engine = Far(), policy(BY_SUBJECT)
    far.kept = None
    assert isinstance(run(Cached(engine, far=far).ask()), Allow)
    assert engine.asked == 1


@pytest.mark.parametrize("value", [b"", b"A", b"X\x90", b"D\x93\xcb\x00", b"A\x93\x01\x02\x90"])
def test_never_4_what_is_no_answer_is_a_miss(value: bytes) -> None:
    far, engine = Far(), policy(BY_SUBJECT)
    cached = Cached(engine, far=far)
    run(cached.ask())
    assert far.kept is not None
    far.kept = dict.fromkeys(far.kept, value)
    assert isinstance(run(Cached(engine, far=far).ask()), Allow)
    assert engine.asked == 2


def going(far: FarAnswers | None = None) -> tuple[Cached, Going]:
    """A policy whose engine is waited for."""
    engine = Going()
    engine.version = policy("result := true").version
    engine._waits = True
    return Cached(engine, far=far), engine


async def together(cached: Cached, engine: Going, people: list[Identity]) -> list[Any]:
    asking = [asyncio.create_task(cached.ask(identity=person)) for person in people]
    await engine.begun.wait()
    await asyncio.sleep(0)
    engine.end.set()
    return await asyncio.gather(*asking, return_exceptions=True)


def test_those_who_ask_the_same_at_once_ask_once() -> None:
    cached, engine = going()
    assert all(isinstance(found, Allow) for found in run(together(cached, engine, [ALICE] * 20)))
    assert engine.asked == 1
    assert cached.hits() == {"worker": 18, "node": 1, "miss": 1}


def test_an_engine_that_fails_fails_for_all_who_wait() -> None:
    cached, engine = going()
    engine.error = True
    assert all(isinstance(found, CheckError) for found in run(together(cached, engine, [ALICE] * 3)))
    assert cached.hits() == {"miss": 3}


def test_who_waits_for_somebody_else_waits_no_longer_than_its_own_deadline() -> None:
    cached, engine = going()

    async def late() -> None:
        first = asyncio.create_task(cached.ask())
        await engine.begun.wait()
        second = asyncio.create_task(cached.ask(deadline=0.0))
        while engine.asked < 2:  # noqa: ASYNC110 - the engine is asked by the authorizer, and tells nobody
            await asyncio.sleep(0)
        engine.end.set()
        await asyncio.gather(first, second)

    run(late())


def test_gauges_tell_what_is_there(memory: Memory) -> None:
    cached = Cached(policy(BY_SUBJECT), memory)
    for subject in "abcabc":
        run(cached.ask(identity=replace(ALICE, subject=subject)))
    assert cached.count("ztag_cache_entries") == cached.count("ztag_cache_shared_entries") == 3
    assert cached.count("ztag_cache_bytes") > 1000
    assert cached.count("ztag_cache_shared_bytes") > 64 * 512
    run(cached.rego.close())
    assert cached.count("ztag_cache_entries") == cached.count("ztag_cache_bytes") == 0
