import asyncio
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from msgspec.structs import replace

from tests.authentication.parts import KeyServer
from tests.envoy.checks import ALICE, check, request
from ztag_extauthz.authorization.bundle.files import Bundle
from ztag_extauthz.authorization.engines.interface import Version
from ztag_extauthz.authorization.rego import RegoSettings
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import (
    CheckError,
    DeadlineError,
    EvaluationError,
    PolicyError,
    SettingsError,
    UnavailableError,
)
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Allow, Context, Deny, Verdict
from ztag_extauthz.rego.values import UNDEFINED, Number

pytest.importorskip("aiohttp")

from tests.authorization.engines.opa_servers import StandIn, real
from ztag_extauthz.authorization.engines.opa import Opa, build
from ztag_extauthz.authorization.engines.opa_client import OpaClient
from ztag_extauthz.authorization.engines.opa_settings import OpaSettings

POLICY = """package p

result := input.x
both := 1 if input.a
both := 2 if input.b
named := data.names[input.who]
"""


def bundle(policy: str = POLICY, **data: Any) -> Bundle:
    digest = str(hash((policy, json.dumps(data)))).encode()[:16].ljust(16)
    return Bundle({"p.rego": policy}, data, Version("7", digest))


@pytest.fixture
def opa() -> Iterator[StandIn]:
    with StandIn(("127.0.0.1", 0)).running() as server:
        yield server


@contextmanager
def on_a_socket(folder: Path) -> Iterator[str]:
    with StandIn(str(folder / "opa.sock")).running() as server:
        yield server.url


@pytest.fixture(params=[on_a_socket, real])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with request.param(tmp_path) as found:
        yield found


def asking(engine: Opa, *documents: Any, timeout: float = 20.0) -> list[Any]:
    """Ask one after the other; an error is an answer, too."""

    async def run() -> list[Any]:
        found: list[Any] = []
        await engine.start()
        try:
            for document in documents:
                try:
                    found.append(await engine.ask(document, monotonic() + timeout))
                except CheckError as error:
                    found.append(error)
        finally:
            await engine.close()
        return found

    return asyncio.run(run())


def engine(url: str, loaded: Bundle | None = None, decision: str = "p/result", **options: Any) -> Opa:
    return build(OpaSettings(url=url, timeout=30, **options), loaded, decision, Path())


VALUES = [True, False, None, "ü\u2028<&>", 1, 10**30, Number("1.50"), [1, "a"], {"a": {"b": [None]}}]


def test_values_come_back_as_they_were(url: str) -> None:
    found = asking(engine(url, bundle()), *({"x": value} for value in VALUES), {})
    assert found == [*VALUES, UNDEFINED]
    assert [type(value) for value in found[:3]] == [bool, bool, type(None)]


def test_a_policy_that_fails_is_an_error_and_its_values_are_not_told(url: str) -> None:
    (conflict,) = asking(engine(url, bundle(), "p/both"), {"a": "s3cret", "b": 1})
    assert isinstance(conflict, EvaluationError)
    assert str(conflict).startswith("the policy failed: eval_conflict_error at ")
    assert "s3cret" not in str(conflict)


def test_policies_and_data_are_exchanged_as_a_whole(url: str) -> None:
    first = bundle(names={"a": 1}, old={"x": 1})
    assert asking(engine(url, first, "p/named"), {"who": "a"}) == [1]
    helper = Bundle(
        {"a.rego": "package p\nnamed := data.h.twice(data.names[input.who])", "h.rego": "package h\ntwice(x) := x * 2"},
        {"names": {"a": 4, "b": 2}},
        Version("8", b"another digest.."),
    )
    assert asking(engine(url, helper, "p/named"), {"who": "a"}, {"who": "b"}) == [8, 4]
    own = engine(url, None, "p")
    assert asking(own, {"who": "a", "x": 1}) == [{"named": 8}]
    assert asking(engine(url, None, "old"), {}) == [UNDEFINED]


def test_policies_that_opa_lost_are_put_there_again(url: str) -> None:
    loaded = bundle()
    asking(engine(url, loaded), {"x": 1})

    async def lose() -> None:
        bare = engine(url)
        await bare.start()
        listed = json.loads((await bare._client.send("GET", "/v1/policies", None, monotonic() + 10)).body)
        assert len(listed["result"]) == 2
        for path in ("data/ztag/state/ztag", *(f"policies/{policy['id']}" for policy in listed["result"])):
            assert (await bare._client.send("DELETE", f"/v1/{path}", None, monotonic() + 10)).status in (200, 204)
        await bare.close()

    asyncio.run(lose())
    assert asking(engine(url, loaded), {"x": 2}) == [2]


def test_two_decisions_share_one_set_of_policies(url: str) -> None:
    loaded = bundle(names={"a": 1})
    one, other = engine(url, loaded), engine(url, loaded, "p/named")
    for _ in range(2):
        assert asking(one, {"x": 5}) == [5]
        assert asking(other, {"who": "a"}) == [1]


def test_what_was_loaded_later_wins(url: str) -> None:
    old, new = engine(url, bundle()), engine(url, bundle(names={}))
    assert asking(new, {"x": 1}) == [1]
    assert asking(old, {"x": 1})[0].args[0].endswith("holds policies that were loaded later than these")
    assert asking(engine(url, bundle()), {"x": 1}) == [1]


def test_a_question_has_no_answer_from_other_policies(opa: StandIn) -> None:
    """What ztag sends is what its own policies read: others could take what is left out for absent."""
    asking(engine(opa.url, bundle("package p\nresult if not input.blocked")), {})
    (rule,) = (name for name in opa.policies if "/decisions/" in name)
    opa.policies[rule] = opa.policies[rule].replace('digest := "', 'digest := "0')
    opa.data["ztag"]["state"]["ztag"] |= {"digest": "0", "loaded_at": 1e12}
    old = engine(opa.url, bundle("package p\nresult if not input.blocked"))
    assert [type(answer) for answer in asking(old, {})] == [UnavailableError]


def test_policies_may_stand_anywhere(url: str) -> None:
    modules = {
        "/a/p.rego": "package p\nresult := data.h.x",
        "../a//p.rego": "package h\nx := 1",
        "a/p.rego": "package q",
    }
    assert asking(engine(url, replace(bundle(), modules=modules)), {}) == [1]


def test_connections_are_kept(opa: StandIn) -> None:
    asking(engine(opa.url, bundle()), *[{"x": 1}] * 20)
    assert opa.connections <= 2


def test_many_questions_put_the_policies_there_once(opa: StandIn) -> None:
    asked = engine(opa.url, bundle())

    async def run() -> list[Any]:
        await asked.start()
        try:
            return await asyncio.gather(*(asked.ask({"x": n}, monotonic() + 20) for n in range(20)))
        finally:
            await asked.close()

    assert asyncio.run(run()) == list(range(20))
    assert opa.asked.count(("PUT", "/v1/policies/ztag/p.rego")) <= 2


def test_opas_own_policies_are_asked_with_their_revision(key_server: KeyServer) -> None:
    provenance = {"bundles": {"authz": {"revision": "42"}, "other": {}}}
    key_server.serve(
        "/v1/data/p/result?provenance=true", json.dumps({"result": True, "provenance": provenance}).encode()
    )
    own = engine(key_server.url)
    assert asking(own, {}) == [True]
    assert own.version.revision == "42"
    assert not own.reads().cacheable


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (401, b"{}", "OPA answers 401 to the decision; it wants another token"),
        (403, b"{}", "OPA answers 403 to the decision; its own authorization policy does not let ztag"),
        (404, b"", "OPA answers 404"),
        (200, b"", "OPA answers 200"),
        (200, b"[]", "OPA answers 200"),
        (200, b'{"result": NaN}', "OPA answers 200"),
        (200, b'{"result": false, "result": true}', "OPA answers 200"),
        (200, b'{"result": {"allowed": false, "allow\\u0065d": true}}', "OPA answers 200"),
        *(
            (200, b'{"result": true, "provenance": %b}' % shape, "a provenance of another shape")
            for shape in (b"7", b'"1"', b"[1]", b'{"bundles": [1]}', b'{"bundles": {"a": 7}}', b'{"revision": {}}')
        ),
        (500, b"oops", "OPA answers 500"),
        (500, b'{"code": "internal_error"}', "OPA answers 500"),
        (503, b'{"errors": [{"code": "eval_conflict_error"}]}', "OPA answers 503"),
        (302, b'{"result": true}', "OPA answers 302"),
        (200, b'{"result": "' + b"x" * (5 << 20) + b'"}', "more than"),
    ],
)
def test_never_2_an_answer_that_is_none_is_an_error(key_server: KeyServer, status: int, body: bytes, why: str) -> None:
    key_server.serve("/v1/data/p/result?provenance=true", body, status, location="/elsewhere")
    key_server.serve("/elsewhere", b'{"result": true}')
    (found,) = asking(engine(key_server.url), {})
    assert isinstance(found, UnavailableError)
    assert why in str(found)


def silent(handler: Any) -> None:
    handler.rfile.read(1 << 20)


def test_a_silent_opa_is_an_error_in_time(key_server: KeyServer) -> None:
    key_server.answers["/v1/data/p/result?provenance=true"] = silent
    own = build(OpaSettings(url=key_server.url, timeout=0.05), None, "p/result", Path())
    (found,) = asking(own, {})
    assert isinstance(found, UnavailableError)
    assert "does not answer in time" in str(found)
    assert isinstance(asking(own, {}, timeout=-1.0)[0], DeadlineError)


def test_where_nobody_listens() -> None:
    (found,) = asking(engine("unix:///nowhere/opa.sock"), {})
    assert isinstance(found, UnavailableError)
    assert not engine("unix:///nowhere/opa.sock").readiness()[0].ready


def test_the_embedded_engine_answers_while_opa_is_down(tmp_path: Path) -> None:
    both = engine(f"unix://{tmp_path}/opa.sock", bundle(), when_unavailable="embedded")
    assert both.readiness()[0].ready
    assert asking(both, {"x": 1}, {"x": False}, {}) == [1, False, UNDEFINED]
    with on_a_socket(tmp_path):
        both._down_until = 0.0
        assert asking(both, {"x": 2}) == [2]
        assert both._down_until == 0.0


def test_a_failing_policy_is_not_asked_elsewhere(key_server: KeyServer) -> None:
    """Only who does not answer is stood in for: an error of the policy is its answer."""
    both = replace_path(engine(key_server.url, bundle(), when_unavailable="embedded"), "/x")
    key_server.serve("/x", b'{"errors": [{"code": "eval_conflict_error"}]}', 500)
    assert [str(error) for error in asking(both, {"x": True})] == [
        "the policy failed: eval_conflict_error at no certain place"
    ]


def replace_path(engine: Opa, path: str) -> Opa:
    engine._path = path
    return engine


def test_what_only_opa_can_answer_is_sent_the_whole_input(url: str, caplog: pytest.LogCaptureFixture) -> None:
    text = "package p\nresult := opa.runtime().version != input.x"
    loaded = replace(bundle(), modules={"p.rego": text})
    asked = engine(url, loaded)
    assert "OPA is sent the whole input" in caplog.text
    assert asked.reads().whole_input
    assert not asked.reads().cacheable
    with pytest.raises(PolicyError, match="not supported"):
        engine(url, loaded, when_unavailable="embedded")


def test_what_opa_would_refuse_is_refused_at_load() -> None:
    with pytest.raises(PolicyError, match="unsafe"):
        engine("http://127.0.0.1:1", bundle("package p\nresult := y"))


def test_a_policy_that_opa_refuses_is_told(opa: StandIn) -> None:
    opa.policies["theirs"] = "package p\nresult := 3 if input.a\ndefault result := 1"
    asked = engine(opa.url, bundle("package p\ndefault result := 1"))
    (found,) = asking(asked, {})
    assert isinstance(found, UnavailableError)
    assert str(found).startswith("OPA does not take policy ztag/p.rego: rego_")


def test_the_authorizer_answers_by_it(url: str, tmp_path: Path) -> None:
    (tmp_path / "policy.rego").write_text(
        'package envoy.authz\ndefault result := false\nresult if input.parsed_path[0] == "public"'
    )
    settings = RegoSettings(kind="rego", engine="opa", opa=OpaSettings(url=url, timeout=10), policies=("policy.rego",))
    rego = settings.build(Resources(tmp_path, lambda: 0.0, Meter()))

    async def run(*paths: str) -> list[Verdict]:
        await rego.start()
        try:
            far = monotonic() + 20
            return [await rego.authorize(Context(request(check(path)), ALICE), far) for path in paths]
        finally:
            await rego.close()

    allowed, denied = asyncio.run(run("/public", "/admin"))
    assert (type(allowed), type(denied)) == (Allow, Deny)
    assert allowed.policy_revision == denied.policy_revision == rego.policy.version.revision
    assert [entry.component for entry in rego.readiness()] == [
        "policy envoy/authz/result",
        f"OPA at {url.removeprefix('unix://')}",
    ]


def test_never_4_what_rests_on_opas_own_data_is_not_remembered(url: str, tmp_path: Path) -> None:
    (tmp_path / "policy.rego").write_text("package envoy.authz\ndefault result := false\nresult if data.users.alice")
    settings = RegoSettings(kind="rego", engine="opa", opa=OpaSettings(url=url, timeout=10), policies=("policy.rego",))
    rego = settings.build(Resources(tmp_path, lambda: 0.0, Meter()))
    theirs = OpaClient(url, ssl.create_default_context(), "", 1)

    async def put(value: bytes) -> None:
        assert (await theirs.send("PUT", "/v1/data/users", value, monotonic() + 20)).status == 204

    async def run() -> list[type[Verdict]]:
        await theirs.start()
        await rego.start()
        try:
            verdicts = []
            for users in (b'{"alice": true}', b"{}"):
                await put(users)
                verdicts.append(await rego.authorize(Context(request(check()), ALICE), monotonic() + 20))
            return [type(verdict) for verdict in verdicts]
        finally:
            await rego.close()
            await theirs.close()

    assert asyncio.run(run()) == [Allow, Deny]


@pytest.mark.parametrize(
    ("result", "own"),
    [
        ("data.users[input.who]", "data.users"),
        ("count(data.names) + data.users.a.b", "data.users.a.b"),
        ("data.h[input.who]", "data.h"),
        ("data.names[input.who]", ""),
        ("data.names.missing", ""),
        ("data.h.x", ""),
    ],
)
def test_data_is_ztags_where_its_files_have_the_name(result: str, own: str) -> None:
    text = {"p.rego": f"package p\nresult := {result}", "h.rego": "package h\nx := 1"}
    found = engine("http://127.0.0.1:1", replace(bundle(names={"a": 1}), modules=text)).reads()
    assert found.impure == ({own} if own else set())
    assert found.cacheable is not bool(own)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"engine": "opa"}, "engine is `opa`, but which is not said"),
        ({"opa": {"url": "http://127.0.0.1"}}, "opa is there, but engine is `embedded`"),
        ({"engine": "opa", "opa": {"url": "http://127.0.0.1"}, "http_hosts": ["a"]}, "http_hosts is for"),
        ({"engine": "opa", "opa": {"url": "http://127.0.0.1", "when_unavailable": "embedded"}}, "has no policies"),
        ({"engine": "opa", "opa": {"url": "http://opa.example"}}, "is not https"),
        ({"engine": "opa", "opa": {"url": "https://opa.example?a"}}, "has a query"),
        ({"engine": "opa", "opa": {"url": "unix://opa.sock"}}, "not absolute"),
        ({"engine": "opa", "opa": {"url": "http://127.0.0.1", "prefix": "a/b"}}, "prefix"),
    ],
)
def test_settings_that_contradict_each_other(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        RegoSettings(kind="rego", **options)


def test_plain_http_has_to_be_named_insecure() -> None:
    assert OpaSettings(url="http://opa.example", insecure_http=True).url == "http://opa.example"


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file"), ("", "holds no token"), ("a b", "no token"), ("ü", "ASCII")]
)
def test_a_token_that_cannot_be_read(tmp_path: Path, content: str | None, why: str) -> None:
    if content is not None:
        (tmp_path / "token").write_text(content)
    settings = OpaSettings(url="http://127.0.0.1:1", token_file="token")
    with pytest.raises(SettingsError, match=why):
        build(settings, None, "p/result", tmp_path)


def test_the_token_is_sent(key_server: KeyServer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    seen: list[str] = []

    def answer(handler: Any) -> None:
        seen.append(handler.headers["authorization"])
        handler.send_response(200)
        handler.send_header("content-length", "15")
        handler.end_headers()
        handler.wfile.write(b'{"result":true}')

    key_server.answers["/v1/data/p/result?provenance=true"] = answer
    settings = OpaSettings(url=key_server.url, token_file="token", timeout=10)
    assert asking(build(settings, None, "p/result", tmp_path), {}) == [True]
    assert seen == ["Bearer s3cret"]
