import asyncio
import json
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import parse_qs

import pytest
from pydantic import ValidationError

from tests.authentication.parts import ALGORITHMS, FOREVER, ISSUER, NOW, Clock, jwk, key_set, request, resources, token
from tests.authentication.proofs import proof, public, shown
from ztag_extauthz.authentication.interface import Authenticator, join
from ztag_extauthz.authentication.introspection import IntrospectionSettings
from ztag_extauthz.authentication.jose.thumbprint import thumbprint
from ztag_extauthz.authentication.jwt import JwtSettings
from ztag_extauthz.errors import DeadlineError, OverloadedError, UnavailableError
from ztag_extauthz.model import Deny, Identity, Request

OURS = "https://opaque.example"
ACTIVE: dict[str, Any] = {"active": True, "sub": "alice", "aud": "mesh", "scope": "read write", "exp": int(NOW) + 600}


class Issuer:
    """An issuer that answers introspection as a test tells it."""

    def __init__(self, key_server: Any) -> None:
        self.url = f"{key_server.url}/introspect"
        self.forms: list[dict[str, list[str]]] = []
        self.authorizations: list[str] = []
        self.tokens: dict[str, Any] = {"opaque-1": ACTIVE}
        self.go = Event()
        self.go.set()
        key_server.answers["/introspect"] = self._answer

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        form = parse_qs(handler.rfile.read(int(handler.headers["content-length"])).decode())
        self.forms.append(form)
        self.authorizations.append(handler.headers["authorization"])
        self.go.wait(10)
        document = self.tokens.get(form["token"][0], {"active": False})
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        handler.send_response(200)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


@pytest.fixture
def issuer(key_server: Any) -> Issuer:
    return Issuer(key_server)


class Rig:
    def __init__(self, folder: Path, asked: Issuer, /, **changes: Any) -> None:
        self.clock = Clock()
        good = {
            "kind": "introspection",
            "issuer": OURS,
            "url": asked.url,
            "client_id": "ztag:1",
            "client_secret": "s%",
        }
        settings = IntrospectionSettings.model_validate(good | {"audiences": ["mesh"]} | changes)
        self.kind: Authenticator = settings.build(resources(folder, self.clock))

    def ask(self, *asked: Request | str, deadline: float = FOREVER) -> list[Any]:
        async def all_at_once() -> list[Any]:
            requests = [request(f"Bearer {one}") if isinstance(one, str) else one for one in asked]
            answers = (self.kind.authenticate(one, deadline) for one in requests)
            return await asyncio.gather(*answers, return_exceptions=True)

        return asyncio.run(all_at_once())


@pytest.fixture
def rig(tmp_path: Path, issuer: Issuer) -> Rig:
    return Rig(tmp_path, issuer)


def test_asks_who_shows_a_token(rig: Rig, issuer: Issuer) -> None:
    (found,) = rig.ask("opaque-1")
    assert isinstance(found, Identity)
    assert (found.subject, found.issuer, found.kind, found.scopes) == (
        "alice",
        OURS,
        "introspection",
        ("read", "write"),
    )
    assert found.expires_at == NOW + 600
    assert issuer.forms == [{"token": ["opaque-1"], "token_type_hint": ["access_token"]}]
    assert issuer.authorizations == ["Basic enRhZyUzQTE6cyUyNQ=="]  # ztag%3A1:s%25


def test_an_answer_is_believed_for_a_short_while(rig: Rig, issuer: Issuer) -> None:
    for _ in range(3):
        rig.ask("opaque-1")
    assert len(issuer.forms) == 1
    issuer.tokens["opaque-1"] = {"active": False}
    rig.clock.now += 30
    (answer,) = rig.ask("opaque-1")
    assert isinstance(answer, Deny)
    assert len(issuer.forms) == 2


def test_s26_no_answer_is_believed_beyond_the_tokens_end(rig: Rig, issuer: Issuer) -> None:
    issuer.tokens["opaque-1"] = {**ACTIVE, "exp": int(NOW) + 10}
    rig.ask("opaque-1")
    rig.clock.now += 10
    issuer.tokens["opaque-1"] = {"active": False}
    assert isinstance(rig.ask("opaque-1")[0], Deny)


def test_an_inactive_token_is_asked_about_briefly_once(rig: Rig, issuer: Issuer) -> None:
    for _ in range(3):
        assert isinstance(rig.ask("opaque-2")[0], Deny)
    assert len(issuer.forms) == 1
    rig.clock.now += 5
    issuer.tokens["opaque-2"] = ACTIVE
    assert isinstance(rig.ask("opaque-2")[0], Identity)


@pytest.mark.parametrize(
    "answer",
    [
        {"active": False},
        {"active": "true", "sub": "alice", "aud": "mesh"},
        {"active": 1, "sub": "alice", "aud": "mesh"},
        {"sub": "alice", "aud": "mesh"},
        {**ACTIVE, "aud": "other"},
        {key: value for key, value in ACTIVE.items() if key != "aud"},
        {**ACTIVE, "iss": "https://other.example"},
        {**ACTIVE, "iss": None},
        {**ACTIVE, "exp": int(NOW) - 10},
        {**ACTIVE, "exp": str(int(NOW) + 600)},
        {**ACTIVE, "exp": None},
        {**ACTIVE, "nbf": int(NOW) + 60},
        {**ACTIVE, "sub": ""},
        {**ACTIVE, "sub": 1},
        {**ACTIVE, "scope": {"read": True}},
        {**ACTIVE, "token_type": "refresh_token"},
        {**ACTIVE, "cnf": {"jwk": {}}},
    ],
)
def test_anything_but_a_clear_yes_is_a_no(rig: Rig, issuer: Issuer, answer: Any) -> None:
    issuer.tokens["opaque-1"] = answer
    (found,) = rig.ask("opaque-1")
    assert isinstance(found, Deny)
    assert "opaque-1" not in str(found)


@pytest.mark.parametrize("answer", [b"", b"[]", b"yes", b'{"active":true,"active":false}', b"{" * 100_000])
def test_garbage_is_no_answer(rig: Rig, issuer: Issuer, answer: bytes) -> None:
    issuer.tokens["opaque-1"] = answer
    (found,) = rig.ask("opaque-1")
    assert isinstance(found, UnavailableError)
    issuer.tokens["opaque-1"] = ACTIVE
    assert isinstance(rig.ask("opaque-1")[0], Identity)


def test_an_issuer_that_is_down_is_an_error_but_known_tokens_go_on(rig: Rig, key_server: Any) -> None:
    rig.ask("opaque-1")
    key_server.stop()
    known, unknown = rig.ask("opaque-1", "opaque-3")
    assert isinstance(known, Identity)
    assert isinstance(unknown, UnavailableError)


def test_a_flood_with_one_token_asks_once(rig: Rig, issuer: Issuer) -> None:
    found = rig.ask(*["opaque-1"] * 200)
    assert all(isinstance(one, Identity) for one in found)
    assert len(issuer.forms) == 1


def test_questions_are_bounded(tmp_path: Path, issuer: Issuer) -> None:
    rig = Rig(tmp_path, issuer, max_in_flight=2)
    found = rig.ask("opaque-1", "a", "b", "c")
    assert [type(one) for one in found] == [Identity, Deny, OverloadedError, OverloadedError]


def test_a_slow_issuer_costs_a_request_its_deadline_and_no_more(rig: Rig, issuer: Issuer) -> None:
    issuer.go.clear()
    (found,) = rig.ask("opaque-1", deadline=time.monotonic() + 0.1)
    assert isinstance(found, DeadlineError)
    issuer.go.set()


def test_s14_two_issuers_do_not_share_answers(tmp_path: Path, issuer: Issuer) -> None:
    mesh = Rig(tmp_path, issuer)
    other = Rig(tmp_path, issuer, audiences=["other"])
    scoped = Rig(tmp_path, issuer, claims=[{"claim": "scope", "contains": "admin"}])
    assert isinstance(mesh.ask("opaque-1")[0], Identity)
    assert isinstance(other.ask("opaque-1")[0], Deny)
    assert isinstance(scoped.ask("opaque-1")[0], Deny)
    assert len(issuer.forms) == 3


def test_s14_a_token_of_one_place_is_not_that_of_another(tmp_path: Path, issuer: Issuer) -> None:
    first, second = Rig(tmp_path, issuer), Rig(tmp_path, issuer, issuer="https://second.example", audiences=["second"])
    (both,) = join([first.kind, second.kind])
    first.kind = both
    issuer.tokens["opaque-2"] = {**ACTIVE, "aud": "second"}
    issuer.tokens["opaque-3"] = {**ACTIVE, "iss": "https://second.example", "aud": "mesh"}
    assert [getattr(one, "issuer", None) for one in first.ask("opaque-1", "opaque-2", "opaque-3")] == [
        OURS,
        "https://second.example",
        None,
    ]


def test_beside_jwts_only_what_is_none_of_theirs_is_asked_about(tmp_path: Path, issuer: Issuer) -> None:
    (tmp_path / "jwks.json").write_bytes(key_set(*(jwk(algorithm) for algorithm in ALGORITHMS)))
    good = {"kind": "jwt", "issuer": ISSUER, "audiences": ["mesh"], "algorithms": ALGORITHMS}
    jwt = JwtSettings.model_validate(good | {"jwks": {"file": "jwks.json"}}).build(resources(tmp_path))
    rig = Rig(tmp_path, issuer)
    (rig.kind,) = join([jwt, rig.kind])
    foreign = token(iss=OURS)
    issuer.tokens[foreign] = ACTIVE
    found = rig.ask(token(), "opaque-1", foreign, token(exp=int(NOW) - 60), "x.y.z", "opaque-2")
    assert [getattr(one, "kind", None) for one in found] == ["jwt", "introspection", "introspection", None, None, None]
    assert sorted(form["token"][0] for form in issuer.forms) == sorted(["opaque-1", "opaque-2", foreign])


def test_s24_an_opaque_token_can_be_bound_too(tmp_path: Path, issuer: Issuer) -> None:
    rig = Rig(tmp_path, issuer, dpop={})
    issuer.tokens["opaque-1"] = {**ACTIVE, "token_type": "DPoP", "cnf": {"jkt": thumbprint(public())}}
    assert isinstance(rig.ask("opaque-1")[0], Deny)
    assert isinstance(rig.ask(shown("opaque-1", proof("opaque-1")))[0], Identity)
    assert isinstance(rig.ask(shown("opaque-1", proof("opaque-1")))[0], Deny)


def test_never_6_the_secret_is_not_shown(tmp_path: Path, issuer: Issuer) -> None:
    good = {"kind": "introspection", "issuer": OURS, "url": issuer.url, "client_id": "ztag", "client_secret": "hunter2"}
    settings = IntrospectionSettings.model_validate(good | {"audiences": ["mesh"]})
    assert "hunter2" not in repr(settings)
    assert tmp_path.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://issuer.example/introspect"},
        {"url": "issuer.example"},
        {"audiences": []},
        {"client_id": ""},
        {"max_in_flight": 0},
        {"issuer": ""},
    ],
)
def test_wrong_settings(tmp_path: Path, issuer: Issuer, change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Rig(tmp_path, issuer, **change)


def test_any_audience_has_to_be_asked_for(tmp_path: Path, issuer: Issuer) -> None:
    issuer.tokens["opaque-1"] = {"active": True, "sub": "alice"}
    rig = Rig(tmp_path, issuer, audiences=[], insecure_any_audience=True)
    (found,) = rig.ask("opaque-1")
    assert isinstance(found, Identity)
    assert found.expires_at is None
