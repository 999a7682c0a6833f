"""A request that comes again gets the answer, and leaves the records, that its whole way would have given then."""

import asyncio
import gc
import json
import weakref
from collections.abc import Iterator
from copy import copy
from inspect import signature
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FunctionType, ModuleType
from typing import Any

import pytest
import yaml
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.authentication.parts import ISSUER, Clock, CountingMeter, jwk, key_set, token
from tests.envoy.checks import check, listed
from ztag_extauthz.admission.interface import Gate
from ztag_extauthz.authentication.interface import Authenticator
from ztag_extauthz.authorization.cache.invalidation import Invalidation
from ztag_extauthz.authorization.engines.embedded import Embedded
from ztag_extauthz.authorization.engines.interface import Version
from ztag_extauthz.authorization.interface import Authorizer
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.meter import SERIES
from ztag_extauthz.model import Deny, Reason, Request
from ztag_extauthz.reporting.interface import Reporter
from ztag_extauthz.server.core import RpcError, Status
from ztag_extauthz.server.recurring import PLACE
from ztag_extauthz.settings import load
from ztag_extauthz.wiring import build

FOREVER = 1e18
POLICY = """package p

anybody := true

nobody := false

default result := {"allowed": false}

result := {"allowed": true, "headers": {"x-plan": data.plan}} if {
	input.identity.subject in data.users
	input.parsed_path[0] == "orders"
}
"""
TOKENS = {
    name: token("EdDSA", sub=name, jti=name, exp=1_800_000_060 if name == "bob" else 1_800_003_600)
    for name in ("ann", "bob", "eve")
}
SETTINGS: dict[str, Any] = {
    "admission": {
        "rate_limit": {"limits": [{"name": "all", "limit": "10/second burst 12", "by": ["address"]}], "keys": 1024}
    },
    "authentication": [
        {"kind": "jwt", "issuer": ISSUER, "audiences": ["mesh"], "algorithms": ["EdDSA"], "jwks": {"file": "keys.json"}}
    ],
    "authorization": [
        {"kind": "quota", "limits": [{"name": "each", "limit": "5/second burst 5", "by": ["subject"]}], "keys": 1024},
        {
            "kind": "rego",
            "policies": ["p.rego", "data.json"],
            "decision": "p/result",
            "cache": {"ttl": 30, "entries": 64},
        },
    ],
    "response": {"owned_headers": ["x-plan"]},
}
COUNTED = ("ztag_decisions", "ztag_limits", "ztag_token_cache", "ztag_cache_lookups", "ztag_cache_uncached")


class Lines(Reporter):
    """Keeps audit lines, as they are written."""

    def __init__(self, audit: Reporter) -> None:
        self.lines: list[dict[str, Any]] = []
        audit._writer.put = self._put  # type: ignore[attr-defined]

    def _put(self, line: bytes, _: int) -> None:
        record = json.loads(line)
        del record["id"]
        self.lines.append({name: value for name, value in record.items() if name != "timings"})

    def report(self, request: Any, decision: Any) -> None:
        """Nothing: it listens to what the audit log writes."""


class Side:
    """One whole ztag."""

    def __init__(self, folder: Path, clock: Clock, recurring: int, changes: Any = None) -> None:
        for name, text in (("p.rego", POLICY), ("data.json", json.dumps(data("gold")))):
            (folder / name).write_text(text)
        (folder / "keys.json").write_bytes(key_set(jwk("EdDSA")))
        whole = {
            **SETTINGS,
            "server": {"max_recurring": recurring},
            "reporting": [{"kind": "audit"}],
            **(changes or {}),
        }
        (folder / "ztag.yaml").write_text(yaml.safe_dump(whole))
        self.clock, self.meter = clock, CountingMeter()
        self.gateway = build(load(folder / "ztag.yaml", {}), Resources(folder, clock, self.meter))
        self.audit = Lines(self.gateway.pipeline.listeners._reporters[-1])
        last: Any = self.gateway.pipeline.authorizers[-1]
        self.rego: Any = next(iter(last._policies.values())) if last.kind == "profiles" else last
        self.reader: Any = self.gateway.pipeline._authenticators[0]

    def ask(self, message: bytes, deadline: float = FOREVER) -> Any:
        try:
            answer = CheckResponse.FromString(asyncio.run(self.gateway.core.check(message, deadline)))
        except RpcError as error:
            return error.status
        text = str(answer)
        ids = [
            one.header.value
            for one in (*answer.ok_response.headers, *answer.denied_response.headers)
            if one.header.key == "x-ztag-decision-id"
        ]
        assert len(ids) == 1
        return text.replace(ids[0], "ID")

    def forget(self, tag: str) -> None:
        heard = self.rego._levels._common.forgotten
        asyncio.run(heard.follower._journal.add([Invalidation(tag, self.clock())]))
        self.hear()

    def hear(self) -> None:
        asyncio.run(self.rego._levels._common.forgotten.follower.catch_up())

    def exchange(self, plan: str) -> None:
        version = Version(plan, plan.encode().ljust(16))
        self.rego.policy.exchange(data(plan), version)
        self.rego.put_in_force(self.rego.policy, self.clock())

    def replace(self, plan: str, page: int = 0) -> None:
        """Put another policy in force; it denies with so many bytes of text."""
        version = Version(f"new {plan}", plan.encode().rjust(16))
        text = POLICY.replace('"orders"', f'"{plan}"')
        if page:
            text = text.replace('{"allowed": false}', f'{{"allowed": false, "body": "{"x" * page}"}}')
        self.rego.put_in_force(Embedded({"p.rego": text}, data(plan), "p/result", version=version), self.clock())

    def rotate(self) -> None:
        """Verify with other keys from now on, in which the issuer's own are again."""
        source = self.reader.issuers[ISSUER].source
        source.keys = copy(source.keys)

    def counted(self) -> dict[Any, float]:
        return {series: self.meter.value(*series[:1], *series[1]) for series in SERIES if series[0] in COUNTED}

    def hits(self) -> float:
        return self.meter.value("ztag_recurring", "hit")


def data(plan: str) -> dict[str, Any]:
    return {"plan": plan, "users": ["ann", "bob"] if plan != "none" else []}


_numbers = iter(range(1, 1 << 60))


def message(user: str = "ann", path: str = "/orders/1", address: str = "10.0.0.1", **more: str) -> bytes:
    """A request like all others but for what is new each time."""
    number = next(_numbers)
    headers = {"authorization": f"Bearer {TOKENS[user]}", "x-request-id": f"r-{number}", "traceparent": f"00-{number}"}
    one = check(path, headers={**headers, **more})
    one.attributes.source.address.socket_address.address = address
    one.attributes.source.address.socket_address.port_value = 1024 + number % 60_000
    one.attributes.request.time.seconds = 1_700_000_000 + number
    one.attributes.request.http.id = str(number)
    return bytes(one.SerializeToString())


_ASK = st.builds(
    lambda user, path, address, many: ("ask", user, path, address, many),
    st.sampled_from([*TOKENS]),
    st.sampled_from(["/orders/1", "/orders/2?x=1", "/admin", "/a//b"]),
    st.sampled_from(["10.0.0.1", "10.0.0.2"]),
    st.integers(1, 6),
)
_ACTIONS = st.one_of(
    _ASK,
    _ASK,
    _ASK,
    st.tuples(st.just("step"), st.sampled_from([0.1, 0.5, 2.0, 31.0, 61.0, -0.5, -40.0])),
    st.tuples(st.just("forget"), st.sampled_from(["all", f"subject:{ISSUER}|ann", "resource:shop.example/orders/1"])),
    st.tuples(st.just("exchange"), st.sampled_from(["gold", "none", "tin"])),
    st.tuples(st.just("replace"), st.sampled_from(["orders", "admin"])),
    st.tuples(st.just("rotate")),
    st.tuples(st.just("late")),
)


def perform(action: tuple[Any, ...], clock: Clock, sides: tuple[Side, Side]) -> None:
    what, *about = action
    if what == "ask":
        *request, many = about
        for _ in range(many):
            one = message(*request)
            assert sides[0].ask(one) == sides[1].ask(one)
    elif what == "step":
        clock.now += about[0]
        for side in sides:
            side.hear()
    elif what == "late":
        one = message()
        assert {side.ask(one, 0.0) for side in sides} == {Status.DEADLINE_EXCEEDED}
    else:
        for side in sides:
            getattr(side, what)(*about)


@settings(max_examples=25)
@given(st.lists(_ACTIONS, min_size=3, max_size=25))
def test_answers_audit_lines_and_counts_are_those_of_the_whole_way(actions: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        clock = Clock()
        sides = Side(Path(one), clock, 1000), Side(Path(other), clock, 0)
        for side in sides:
            side.hear()
        for action in [("ask", "ann", "/orders/1", "10.0.0.1", 4), *actions]:
            perform(action, clock, sides)
        assert sides[0].hits() > 0 == sides[1].hits()
        assert sides[0].audit.lines == sides[1].audit.lines
        assert sides[0].counted() == sides[1].counted()


@pytest.fixture
def side(tmp_path: Path) -> Side:
    made = Side(tmp_path, Clock(), 1000, {"admission": {}, "authorization": SETTINGS["authorization"][1:]})
    made.hear()
    return made


def test_the_third_request_is_known(side: Side) -> None:
    answers = {side.ask(message()) for _ in range(5)}
    assert (len(answers), side.hits()) == (1, 3)


def reached(root: Any) -> Iterator[Any]:
    """Yield all that is held by something."""
    held, seen = [root], set()
    while held:
        one = held.pop()
        if id(one) in seen or isinstance(one, type | ModuleType):
            continue
        seen.add(id(one))
        yield one
        held.extend([one.__closure__, one.__defaults__] if isinstance(one, FunctionType) else gc.get_referents(one))


def test_what_is_known_keeps_no_credential_no_request_and_no_policy(side: Side) -> None:
    for _ in range(4):
        side.ask(message(cookie="session=secret-cookie"))
    for one in reached(side.gateway.core._recurring):
        assert not isinstance(one, Request)
        assert not isinstance(one, str | bytes) or not any(
            text in str(one) for text in (TOKENS["ann"], "secret-cookie")
        )
    before = weakref.ref(side.rego.policy)
    side.replace("orders")
    gc.collect()
    assert before() is None


def test_memory_is_bounded_by_the_size_of_messages(tmp_path: Path) -> None:
    small = Side(tmp_path, Clock(), 8, {"admission": {}, "authorization": SETTINGS["authorization"][1:]})
    small.hear()
    known: Any = small.gateway.core._recurring
    for number in range(20):
        for _ in range(3):
            small.ask(message(path=f"/orders/{number}", accept="a" * 5000))
        assert len(known._young) + len(known._old) <= 8
        assert sum(one.places for one in known._young.values() if not isinstance(one, int)) <= 4


def test_what_ended_is_known_again_when_it_was_made_anew(tmp_path: Path) -> None:
    side = Side(tmp_path, Clock(), 64, {"admission": {}, "authorization": SETTINGS["authorization"][1:]})
    side.hear()
    for _ in range(4):
        side.ask(message())
    hits = side.hits()
    side.clock.now += 31
    side.hear()
    for _ in range(5):
        side.ask(message())
    assert hits == 2
    assert side.hits() == hits + 3


@pytest.mark.parametrize("page", [10, 30_000])
def test_memory_is_bounded_by_the_size_of_answers(tmp_path: Path, page: int) -> None:
    side = Side(tmp_path, Clock(), 64, {"admission": {}, "authorization": SETTINGS["authorization"][1:]})
    side.hear()
    side.replace("nowhere", page)
    for number in range(12):
        for _ in range(3):
            side.ask(message(path=f"/orders/{number}"))
    known: Any = side.gateway.core._recurring
    kept = [one.places for one in known._young.values() if not isinstance(one, int)]
    assert sum(kept) <= 32
    assert max(kept) == 1 if page == 10 else min(kept) > page / PLACE


def test_a_limit_that_was_charged_is_charged_once_where_the_answer_is_too_late(tmp_path: Path) -> None:
    side = Side(tmp_path, Clock(), 1000)
    side.hear()
    for _ in range(3):
        side.ask(message())
    taken = side.meter.value("ztag_limits", "admission", "allowed")
    known: Any = side.gateway.core._recurring
    _, one = known.find(message())
    assert known.answer(one, message(), 0.0).verdict == one.first.verdict
    assert side.meter.value("ztag_limits", "admission", "allowed") == taken + 1


def subclasses(kind: Any) -> set[Any]:
    return {one for below in kind.__subclasses__() for one in (below, *subclasses(below))}


@pytest.mark.parametrize("base", [Gate, Authenticator, Authorizer, Reporter])
def test_who_does_not_say_how_its_word_is_checked_is_asked_each_time(base: Any) -> None:
    kinds = {kind for kind in subclasses(base) if kind.__module__.startswith("ztag_extauthz.")}
    assert kinds
    nothing = [None] * (len(signature(base.again).parameters) - 1)
    for kind in kinds:
        assert kind.again is not base.again or kind.again(object(), *nothing) is None


def test_a_header_that_differs_is_read_by_nobody_who_knows_requests_again(tmp_path: Path) -> None:
    reads = [
        'input.attributes.request.http.headers["x-request-id"]',
        'object.get(input.attributes.request.http.headers, "x-request-id", "")',
        "[value | some name; value := input.attributes.request.http.headers[name]]",
        'object.get(input, ["attributes", "request", "http", "id"], "")',
        "input.attributes.source",
        "input.attributes.request.time.seconds",
        "input",
    ]
    for number, read in enumerate(reads):
        folder = tmp_path / str(number)
        folder.mkdir()
        side = Side(folder, Clock(), 1000, {"admission": {}, "authorization": SETTINGS["authorization"][1:]})
        side.hear()
        text = f'package p\n\nresult := {{"allowed": true, "headers": {{"x-read": json.marshal({read})}}}}\n'
        side.rego.put_in_force(
            Embedded({"p.rego": text}, {}, "p/result", version=Version("1", b"1" * 16)), side.clock()
        )
        answers = [side.ask(message()) for _ in range(4)]
        assert len(set(answers)) == 4, read
        assert side.hits() == 0


def test_headers_that_are_listed_are_known_again_too(side: Side) -> None:
    for number in range(4):
        fields = [("authorization", f"Bearer {TOKENS['ann']}".encode()), ("x-request-id", str(number).encode())]
        assert "OK" not in str(side.ask(listed([(":method", b"GET"), *fields], "/orders/1").SerializeToString()))
    assert side.hits() == 2


def test_a_revocation_counts_at_once_and_so_does_that_none_can_be_heard(side: Side) -> None:
    said: list[Any] = []

    def revoked(_: Any) -> Deny | None:
        if said == ["nothing"]:
            raise UnavailableError("nobody tells")
        return Deny(Reason.INVALID_CREDENTIALS, "revoked") if said else None

    side.gateway.pipeline._revoked = revoked
    assert len({side.ask(message()) for _ in range(4)}) == 1
    assert side.hits() == 2
    said.append("ann")
    assert "denied_response" in side.ask(message())
    said[:] = ["nothing"]
    assert side.ask(message()) is Status.UNAVAILABLE
    said.clear()
    assert "ok_response" in side.ask(message())
    assert side.hits() == 3
