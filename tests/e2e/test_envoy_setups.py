"""What depends on how Envoy is set up: failure modes, raw headers, client certificates, who may ask."""

import http.client
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.e2e.certificates import Authority, Certificate
from tests.e2e.plans import TIMEOUT, connection_manager, ext_authz, mutual_tls, without_hygiene
from ztag_extauthz.demo.cases import bearer
from ztag_extauthz.demo.client import Ask, Reply, send
from ztag_extauthz.demo.processes import ProcessError, folder_for
from ztag_extauthz.demo.stack import Plan, Stack, running
from ztag_extauthz.wire.envoy import Wishes

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("setups")]

FAILING = """
package envoy.authz

# Nothing else has a value: undefined.
result := {"allowed": true} if input.parsed_path == ["fine"]

result := {"allowed": false} if input.parsed_path == ["denied"]

result := {"allowed": false, "http_status": 503} if input.parsed_path == ["denied503"]

result := "yes" if input.parsed_path == ["wrong"]

result := {"allowed": true, "headers": {"x-principal": input.source_principal}} if input.parsed_path == ["principal"]

result := {"allowed": true, "headers": {"x-split": "a\\r\\nx-user: root"}} if input.parsed_path == ["split"]
"""


@contextmanager
def policy_plan(**plan: Any) -> Iterator[Plan]:
    """Yield a plan with the policy above, which everybody may ask."""
    with folder_for("policy") as folder:
        (folder / "failing.rego").write_text(FAILING)
        rego = {"kind": "rego", "policies": [str(folder)], "decision": "envoy/authz/result"}
        settings = {"authentication": [{"kind": "anonymous"}], "authorization": [rego], **plan.pop("settings", {})}
        yield Plan(settings=settings, **plan)


def status(stack: Stack, path: str) -> int:
    return send(stack.edge, Ask(path=path)).status


@pytest.mark.parametrize("error_response", [False, True], ids=["grpc status", "error_response"])
@pytest.mark.parametrize("failure_mode_allow", [False, True], ids=["closed", "open"])
def test_s27_never_1_2_an_error_is_neither_an_allow_nor_a_denial(
    *, failure_mode_allow: bool, error_response: bool
) -> None:
    wishes = Wishes(timeout=TIMEOUT, failure_mode_allow=failure_mode_allow)
    settings = {"response": {"error_response": error_response}}
    with policy_plan(wishes=wishes, settings=settings) as plan, running(plan) as stack:
        assert status(stack, "/fine") == 200
        assert status(stack, "/denied") == 403
        assert status(stack, "/denied503") == 503
        undefined, wrong, split = (status(stack, path) for path in ("/undefined", "/wrong", "/split"))
        if failure_mode_allow:
            assert (undefined, wrong, split) == (200, 200, 200)
        else:
            assert {undefined, wrong, split} <= {500, 503}


def test_failure_mode_allow_passes_no_spoofed_header() -> None:
    wishes = Wishes(timeout=TIMEOUT, failure_mode_allow=True)
    with policy_plan(wishes=wishes) as plan, running(plan) as stack:
        reply = send(stack.edge, Ask(path="/undefined", headers=(("x-ztag-subject", "root"),)))
        assert reply.status == 200
        assert reply.seen_header("x-ztag-subject") == []
        assert reply.seen_header("x-envoy-auth-failure-mode-allowed") == ["true"]


@pytest.fixture(scope="module")
def raw() -> Iterator[Stack]:
    """A stack whose Envoy sends `header_map`."""
    plan = Plan(wishes=Wishes(timeout=TIMEOUT, raw_headers=True), change_envoy=without_hygiene)
    with running(plan) as stack:
        yield stack


def test_s03_repeated_security_headers_are_seen_in_raw_headers(raw: Stack) -> None:
    token = bearer(raw.issuer.token("ann"))
    assert send(raw.edge, Ask(path="/orders", headers=(token,))).status == 200
    assert send(raw.edge, Ask(path="/orders", headers=(token, token))).status in {400, 401}
    other = bearer(raw.issuer.forged("root"))
    assert send(raw.edge, Ask(path="/orders", headers=(token, other))).status in {400, 401}


def test_s08_raw_bytes_are_answered(raw: Stack) -> None:
    token = bearer(raw.issuer.token("ann"))
    for value in (b"\x80\xff", b"\xc3\x28", "é".encode()):
        assert send(raw.edge, Ask(path="/orders", headers=(token, ("x-note", value)))).status == 200


def test_s16_spoofed_headers_are_removed_from_raw_headers(raw: Stack) -> None:
    token = bearer(raw.issuer.token("ann"))
    spoofed = (("x-user", "root"), ("x-user", "admin"), ("x-ztag-subject", "root"), ("x-ztag-else", "root"))
    reply = send(raw.edge, Ask(path="/orders", headers=(token, *spoofed)))
    assert reply.seen_header("x-user") == ["ann"]
    assert b"root" not in reply.body


def test_s32_a_peer_that_is_not_on_the_list_gets_no_answer() -> None:
    with folder_for("tls") as folder:
        tls, client = mutual_tls(Authority(folder), client="spiffe://mesh.example/ns/shop/sa/cart")
        plan = Plan(settings={"listen": {"tls": tls}}, wishes=Wishes(timeout=TIMEOUT, tls=client))
        with pytest.raises(ProcessError, match="finding ztag healthy"), running(plan, healthy_seconds=5.0):
            pass


def terminate_tls(server: Certificate, authority: str) -> Any:
    """Return a change that makes Envoy ask its clients for certificates."""

    def change(document: dict[str, Any]) -> None:
        chain = document["static_resources"]["listeners"][0]["filter_chains"][0]
        files = {"certificate_chain": {"filename": server.certificate}, "private_key": {"filename": server.key}}
        context = {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "require_client_certificate": True,
            "common_tls_context": {
                "tls_certificates": [files],
                "validation_context": {"trusted_ca": {"filename": authority}},
            },
        }
        chain["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": context}

    return change


@pytest.mark.parametrize(
    "name",
    [
        'spiffe://mesh/a"b',
        "spiffe://mesh/a,b",
        "spiffe://mesh/a;By=x",
        "spiffe://mesh/a%0d%0ax-user:root",
        "spiffe://mesh/a\r\nx-user: root",
        "spiffe://mesh/a\x01b",
    ],
)
def test_s09_a_name_in_a_certificate_reaches_no_header_raw(name: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "clients")
    server = authority.issue("edge", [x509.DNSName("edge.test")])
    client = authority.issue("client", [x509.UniformResourceIdentifier(name)])
    change = terminate_tls(server, authority.file)
    with policy_plan(wishes=Wishes(timeout=TIMEOUT), change_envoy=change) as plan, running(plan) as stack:
        reply = send_tls(stack, client, "/principal")
    if name.isprintable():
        assert reply.seen_header("x-principal") == [name]
    else:
        assert reply.status == 503
    assert reply.seen_header("x-user") == []


def send_tls(stack: Stack, client: Certificate, path: str) -> Reply:
    """Send a request with a client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(client.certificate, client.key)
    connection = http.client.HTTPSConnection(*stack.edge, context=context, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return Reply(answer.status, tuple(answer.getheaders()), answer.read())
    finally:
        connection.close()


def test_s29_a_websocket_is_decided_upon_before_it_is_opened() -> None:
    def change(document: dict[str, Any]) -> None:
        connection_manager(document)["upgrade_configs"] = [{"upgrade_type": "websocket"}, {"upgrade_type": "CONNECT"}]

    with running(Plan(wishes=Wishes(timeout=TIMEOUT), change_envoy=change)) as stack:
        upgrade = (("connection", "upgrade"), ("upgrade", "websocket"))
        assert send(stack.edge, Ask(path="/orders", headers=upgrade)).status == 401
        token = bearer(stack.issuer.token("ann"))
        assert send(stack.edge, Ask(path="/admin", headers=(*upgrade, token))).status == 403
        assert send(stack.edge, Ask(method="CONNECT", path="db.internal:5432", headers=(token,))).status in {
            400,
            403,
            404,
        }


def test_certificates_and_sni_are_asked_for() -> None:
    seen: list[dict[str, Any]] = []
    with running(Plan(change_envoy=lambda document: seen.append(ext_authz(document)))):
        pass
    assert seen[0]["include_peer_certificate"]
    assert seen[0]["include_tls_session"]
