"""The listener for revocations: two workers, a real Redis, real HTTP."""

import json
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from msgspec import Struct

from tests.authentication.parts import ISSUER, jwk, key_set, token
from tests.revocation.parts import ANN, CAEP, IDP, SECRET, US, claims, signed
from tests.server.certificates import ENVOY
from tests.server.client import call
from tests.server.parts import tls_settings
from tests.server.process import Ztag, replace, request, serving, until, write_config
from tests.stores.conftest import redis_server

OPERATOR = "o" * 32


class Site(Struct):
    """A running server and where it takes revocations."""

    ztag: Ztag
    folder: Path
    sections: dict[str, Any]
    redis: Any
    context: ssl.SSLContext | None = None

    @property
    def address(self) -> str:
        found = re.search(r"revocations are taken at (\S+)", self.ztag.log)
        assert found is not None
        return found[1].replace("127.0.0.1", "localhost")

    def post(self, path: str, body: bytes, kind: str = "application/json", **headers: str) -> tuple[int, Any, Any]:
        """Return status, headers and document."""
        scheme = "https" if self.context else "http"
        address = f"{scheme}://{self.address}{path}"
        asked = urllib.request.Request(address, body, {"content-type": kind, **headers})  # noqa: S310 - http(s)
        try:
            with urllib.request.urlopen(asked, timeout=10, context=self.context) as answer:  # noqa: S310 - http(s)
                return answer.status, answer.headers, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, json.loads(error.read() or b"null")

    def order(self, shown: str = f"Bearer {OPERATOR}", **order: Any) -> tuple[int, Any, Any]:
        return self.post("/revocations", json.dumps({"issuer": ISSUER, **order}).encode(), authorization=shown)

    def event(self, text: str, **headers: str) -> tuple[int, Any, Any]:
        return self.post("/events", text.encode(), "application/secevent+jwt", **headers)

    def lets_in(self, text: str) -> list[bool]:
        """Return what each worker says to a token."""
        message = CheckRequest.FromString(request("/"))
        message.attributes.request.http.headers["authorization"] = f"Bearer {text}"
        answers = (call(address, message.SerializeToString(), timeout=10) for address in self.ztag.addresses)
        return [CheckResponse.FromString(answer).status.code == 0 for answer in answers]


@contextmanager
def site(folder: Path, **listen: Any) -> Iterator[Site]:
    (folder / "keys.json").write_bytes(key_set(jwk("ES256")))
    (folder / "revocation.secret").write_text(f"{SECRET}\n")
    (folder / "oncall.token").write_text(f"{OPERATOR}\n")
    with redis_server(folder / "redis") as (port, process):
        jwt = {"kind": "jwt", "issuer": ISSUER, "audiences": ["mesh"], "algorithms": ["ES256"]}
        transmitter = {"issuer": IDP, "audiences": [US], "algorithms": ["ES256"], "jwks": {"file": "keys.json"}}
        sections: dict[str, Any] = {
            "listen": {"revocation": "127.0.0.1:0", **listen},
            "authentication": [{**jwt, "jwks": {"file": "keys.json"}}],
            "revocation": {
                "redis": {"url": f"redis://127.0.0.1:{port}", "timeout": 1.0, "retry_after": 0.05},
                "secret_file": "revocation.secret",
                "operators": [{"name": "oncall", "token_file": "oncall.token"}],
                "transmitters": [{**transmitter, "speaks_for": [ISSUER, IDP]}],
            },
        }
        with serving(folder, **sections) as ztag:
            yield Site(ztag, folder, sections, process)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("revocations")
    replace(folder / "policy.rego", "package envoy.authz\n\nresult := true\n")
    with site(folder) as running:
        yield running


pytestmark = pytest.mark.xdist_group("revocations")


def fresh(subject: str, **changes: Any) -> str:
    now = int(time.time())
    return token("ES256", sub=subject, iat=now - 60, nbf=now - 60, exp=now + 600, **changes)


def test_what_an_operator_revokes_is_refused_by_every_worker(lasting: Site) -> None:
    texts = {name: fresh(name, jti=f"jti-{name}", sid=f"sid-{name}") for name in ("ann", "bob", "cid", "eve")}
    assert all(lasting.lets_in(text) == [True, True] for text in texts.values())
    for order in ({"subject": "ann"}, {"token": "jti-bob"}, {"session": "sid-cid"}):
        status, _, document = lasting.order(**order)
        assert (status, document["revoked"]["issuer"]) == (200, ISSUER)
    for name in ("ann", "bob", "cid"):
        until(lambda name=name: lasting.lets_in(texts[name]) == [False, False])  # type: ignore[misc]
    assert lasting.lets_in(texts["eve"]) == [True, True]
    assert "revoked by operator oncall: subject" in lasting.ztag.log
    assert OPERATOR not in lasting.ztag.log


def test_what_an_event_says_is_refused_by_every_worker_however_often_it_is_said(lasting: Site) -> None:
    text = fresh("dan")
    assert lasting.lets_in(text) == [True, True]
    now = int(time.time())
    subject = {**ANN, "iss": ISSUER, "sub": "dan"}
    event = signed(claims(iat=now, sub_id=subject, payload={"event_timestamp": now}))
    assert [lasting.event(event)[0] for _ in range(2)] == [202, 202]
    until(lambda: lasting.lets_in(text) == [False, False])


@pytest.mark.parametrize("shown", ["", "Bearer", "Bearer x", OPERATOR, f"Basic {OPERATOR}", f"Bearer {OPERATOR}x"])
def test_whoever_is_no_operator_gets_a_challenge(lasting: Site, shown: str) -> None:
    status, headers, _ = lasting.order(shown, subject="nobody")
    assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="ztag"')


@pytest.mark.parametrize(
    "order", [{}, {"subject": "a", "token": "b"}, {"subject": 1}, {"made_up": "x"}, {"issuer": None, "subject": "a"}]
)
def test_an_order_that_cannot_be_meant_is_a_400(lasting: Site, order: dict[str, Any]) -> None:
    assert lasting.order(**order)[0] == 400


def test_an_event_that_is_not_right_gets_its_code(lasting: Site) -> None:
    status, headers, document = lasting.event(signed(claims(iat=int(time.time())), "-attacker"))
    assert (status, document["err"], headers["content-language"]) == (400, "invalid_key", "en")
    assert lasting.event("x")[2]["err"] == "invalid_request"
    assert lasting.event(signed(claims(aud="other")))[2]["err"] == "invalid_audience"
    only_tells = claims(event=f"{CAEP}session-established", iat=int(time.time()))
    assert lasting.event(signed(only_tells))[0] == 202


def test_other_requests_are_turned_away(lasting: Site) -> None:
    assert lasting.post("/", b"{}")[0] == 404
    assert lasting.post("/events", b"{}")[0] == 415
    assert lasting.post("/revocations", b"{}", "text/plain")[0] == 415
    assert lasting.post("/revocations", b"x" * 70_000)[0] == 413
    asked = urllib.request.Request(f"http://{lasting.address}/revocations", method="GET")
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(asked, timeout=10)  # noqa: S310 - http, as written above
    with raised.value as error:
        assert (error.code, error.headers["allow"]) == (405, "POST")
    until(lambda: lasting.ztag.metric("ztag_revocation_requests_total") > 0)


def test_a_reload_changes_who_may_revoke(lasting: Site) -> None:
    other = "p" * 32
    changed = {**lasting.sections["revocation"], "operators": [{"name": "other", "token": other}]}
    write_config(lasting.folder, **{**lasting.sections, "revocation": changed})
    until(lambda: lasting.order(f"Bearer {other}", subject="nobody")[0] == 200)
    assert lasting.order(subject="nobody")[0] == 401
    write_config(lasting.folder, **lasting.sections)
    until(lambda: lasting.order(subject="nobody")[0] == 200)


def test_another_token_in_an_operators_file_is_a_reload(lasting: Site) -> None:
    other = "q" * 32
    replace(lasting.folder / "oncall.token", other)
    until(lambda: lasting.order(f"Bearer {other}", subject="nobody")[0] == 200)
    assert lasting.order(subject="nobody")[0] == 401
    replace(lasting.folder / "oncall.token", OPERATOR)
    until(lambda: lasting.order(subject="nobody")[0] == 200)


def test_what_cannot_be_written_is_a_503(folder: Path) -> None:
    with site(folder) as running:
        assert running.order(subject="ann")[0] == 200
        running.redis.kill()
        running.redis.wait()
        status, headers, _ = running.order(subject="bob")
        assert (status, headers["retry-after"]) == (503, "1")
        event = signed(claims(iat=int(time.time())))
        assert running.event(event)[0] == 503


def test_over_tls_only_the_clients_in_the_settings_may_revoke(folder: Path, pki: Path) -> None:
    tls = tls_settings(pki, client_ca=True, allowed=(ENVOY,)).model_dump(exclude_none=True, mode="json")
    with site(folder, revocation_tls=tls) as running:
        for client, status in (("envoy", 200), ("stranger", 403)):
            running.context = ssl.create_default_context(cafile=pki / "ca.pem")
            running.context.load_cert_chain(pki / f"{client}.pem", pki / f"{client}.key")
            assert running.order(subject="ann")[0] == status
