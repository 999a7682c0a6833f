"""Attacks on external authorization servers, from the bytes that Envoy sends to the bytes that it gets.

The numbers are those of `docs/security.md`, which names what each comes from.
"""

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

from tests.authorization.parts import FAR, engine
from tests.envoy.checks import a92, check, connection, headers_of, listed, run
from ztag_extauthz.admission.well_formed import WellFormed, WellFormedSettings
from ztag_extauthz.authentication.anonymous import Anonymous
from ztag_extauthz.authorization.interface import Authorizer
from ztag_extauthz.authorization.rego import Rego, RegoSettings
from ztag_extauthz.envoy import Encoder, decode
from ztag_extauthz.model import Allow, Context, Decision, Failed, Reason, Verdict
from ztag_extauthz.pipeline import Pipeline
from ztag_extauthz.settings import ResponseSettings

POLICY = """
default result := false

path := input.attributes.request.http.path

# Everything that is public, and nothing that is administration, by the raw and by the parsed path.
result if {
    startswith(path, "/public")
    not "admin" in input.parsed_path
}

result if {
    input.parsed_path[0] == "admin"
    input.attributes.request.http.headers["x-role"] == "admin"
}

result if {
    input.parsed_path[0] == "orders"
    not input.truncated_body
    input.parsed_body.amount < 100
}

result if {
    input.parsed_path[0] == "method"
    input.attributes.request.http.method == "GET"
}

result if input.source_principal == "spiffe://mesh.example/ns/edge/sa/envoy"
"""


NOBODY = Anonymous(any_authorization=True)


def decide(message: CheckRequest, policy: str = POLICY, *, relaxed: bool = False) -> tuple[Decision, CheckResponse]:
    gate = WellFormed(WellFormedSettings(insecure_ambiguous_paths=relaxed))
    rego = Rego(RegoSettings(kind="rego", policies=("p.rego",), decision="p/result"), engine(policy), None, 0.0)
    pipeline = Pipeline([gate], [NOBODY], [rego], [], lambda: 0.0)
    request = decode(message.SerializeToString())
    decision: Decision = run(pipeline.decide(request, FAR))
    return decision, CheckResponse.FromString(Encoder(ResponseSettings()).encode(request, decision))


def allowed(message: CheckRequest, policy: str = POLICY, *, relaxed: bool = False) -> bool:
    decision, response = decide(message, policy, relaxed=relaxed)
    assert (response.status.code == 0) is isinstance(decision.verdict, Allow)
    return isinstance(decision.verdict, Allow)


def status(message: CheckRequest) -> int:
    return int(decide(message)[1].denied_response.status.code)


def test_what_should_be_allowed_is() -> None:
    assert allowed(check("/public/a"))
    assert allowed(check("/admin", headers={"x-role": "admin"}))
    assert not allowed(check("/admin"))


@pytest.mark.parametrize("path", ["/public/a%00.css", "/public/\0/admin", "/public%00"])
def test_s01_nul_in_the_path_is_a_400(path: str) -> None:
    """CVE-2019-9900."""
    assert status(check(path)) == 400


def test_s01_nul_in_a_header_is_a_400() -> None:
    assert status(check("/public", headers={"x-a": "a\0b"})) == 400


TRAVERSALS = (
    "/public/../admin", "/public/%2e%2e/admin", "/public/.%2e/admin", "/public/%252e%252e/admin", "/public/..%2fadmin",
    "/public/%2e%2e%2fadmin", "/public\\..\\admin", "/public/..%5cadmin", "/public/./../admin",
    "/public/%c0%ae%c0%ae/admin",
)  # fmt: skip


@pytest.mark.parametrize("path", TRAVERSALS)
def test_s02_no_traversal_is_allowed(path: str) -> None:
    """CVE-2019-9901, CVE-2026-26205 and the like."""
    assert status(check(path)) == 400


def test_s03_values_of_several_headers_are_no_match() -> None:
    """CVE-2020-25017, CVE-2021-32777: what Envoy joined is not the value that a policy asks for."""
    assert not allowed(check("/admin", headers={"x-role": "user,admin"}))
    assert not allowed(check("/admin", headers={"x-role": "admin,admin"}))
    assert not allowed(listed([(":method", b"GET"), ("x-role", b"user"), ("x-role", b"admin")], "/admin"))


def test_s03_a_security_header_twice_is_a_400() -> None:
    fields = [(":method", b"GET"), ("authorization", b"Bearer a"), ("authorization", b"Bearer b")]
    assert status(listed(fields, "/public")) == 400


@pytest.mark.parametrize(
    "path", ["/public%2Fadmin", "/public%2fadmin", "/public//admin", "//public/admin", "/public%5Cadmin"]
)
def test_s04_every_spelling_of_a_slash_is_a_400(path: str) -> None:
    """CVE-2021-29492, CVE-2021-31920."""
    assert status(check(path)) == 400


@pytest.mark.parametrize("path", ["/admin#x", "/public#/../admin", "/public?a#b", "/#/admin"])
def test_s05_a_fragment_is_a_400(path: str) -> None:
    """CVE-2021-32779, CVE-2021-39156."""
    assert status(check(path)) == 400


@pytest.mark.parametrize("header", ["x-envoy-original-path", "x-original-url", "x-rewrite-url", "x-forwarded-uri"])
def test_s07_a_clients_other_path_does_not_count(header: str) -> None:
    """CVE-2023-27487."""
    assert not allowed(check("/admin", headers={header: "/public"}))
    assert allowed(check("/public", headers={header: "/admin"}))


def test_s08_bytes_that_are_no_text_get_an_answer() -> None:
    """CVE-2023-27488: an exception here would be an allow where errors let through."""
    for octet in range(0x80, 0x100):
        assert allowed(listed([(":method", b"GET"), ("x-a", bytes([octet]))], "/public"))


def test_s10_addresses_are_not_taken_from_headers() -> None:
    """CVE-2024-45806."""
    headers = {"x-envoy-external-address": "10.9.9.9", "x-forwarded-for": "10.9.9.9", "x-real-ip": "10.9.9.9"}
    request = decode(check(headers=headers).SerializeToString())
    assert request.source.address == "10.0.0.1"
    forged = {"x-envoy-peer-metadata-id": "x", "x-forwarded-client-cert": "URI=spiffe://mesh.example/ns/edge/sa/envoy"}
    assert not allowed(check("/", headers=forged))


@pytest.mark.parametrize("path", ["//evil/admin", "//evil.example/public", "http://evil/public"])
def test_s12_a_path_is_no_authority(path: str) -> None:
    """CVE-2026-26205: two slashes were parsed as a host, and the rest as the path."""
    assert status(check(path)) == 400
    assert not allowed(check(path), relaxed=True)


@pytest.mark.parametrize("path", ["/public;x=1/../admin", "/public;/admin", "/public%3Bx=1/admin", "/public/..;/admin"])
def test_s13_path_parameters_are_a_400(path: str) -> None:
    """GHSA-p224-6x5r-fjpm, GHSA-659f-rgp5-w4wf, CVE-2026-15573."""
    assert status(check(path)) == 400


def test_s15_forwarded_headers_do_not_count() -> None:
    """GHSA-vhr5-ggp3-qq85, CVE-2026-40575."""
    forged = {
        "x-forwarded-proto": "https",
        "x-forwarded-uri": "/public",
        "x-forwarded-host": "public",
        "forwarded": "host=a",
    }
    request = decode(check("/admin", headers=forged).SerializeToString())
    assert (request.path, request.host, request.scheme) == ("/admin", "shop.example", "https")
    assert not allowed(check("/admin", headers=forged))


@pytest.mark.parametrize("name", ["x-ztag-subject", "x-ztag-decision-id", "x_ztag_subject", "x-ztag-made-up"])
def test_s16_a_clients_identity_headers_are_gone(name: str) -> None:
    _, response = decide(check("/public", headers={name: "root"}))
    ok = response.ok_response
    assert name in {*ok.headers_to_remove, *(key for key, _ in headers_of(ok.headers))}
    assert "root" not in dict(headers_of(ok.headers)).values()


def test_s17_headers_overwrite_in_every_version_of_envoy() -> None:
    """envoy#43310."""
    _, response = decide(check("/"), 'result := {"allowed": true, "headers": {"x-user": ["a", "b"]}}')
    assert response.ok_response.headers
    for option in response.ok_response.headers:
        assert option.HasField("append")
        assert not option.append.value
        assert option.append_action == 2


def test_s18_metadata_that_a_client_chose_is_not_ours() -> None:
    """envoy#34691."""
    message = check("/public", headers={"x-a": "1"})
    message.attributes.metadata_context.filter_metadata["envoy.filters.http.ext_authz"].update(
        {"decision_id": "forged"}
    )
    decision, response = decide(message)
    assert response.dynamic_metadata["decision_id"] == decision.id
    assert set(response.dynamic_metadata.fields) == {"decision_id", "ztag"}


def body(text: str, **headers: str) -> CheckRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return check("/orders", method="POST", headers={"content-type": "application/json", **named}, body=text)


def test_s19_a_rule_on_the_body_does_not_allow_a_cut_one() -> None:
    assert allowed(body('{"amount": 1}'))
    assert not allowed(body('{"amount": 1}', x_envoy_auth_partial_body="true"))
    assert not allowed(body('{"amount": 1}', content_length="100"))
    assert not allowed(body('{"amount": 1', x_envoy_auth_partial_body="true"))


class Broken(Authorizer):
    """An authorizer with a fault."""

    kind = "broken"

    async def authorize(self, context: Context, deadline: float) -> Verdict:  # noqa: ARG002
        raise RuntimeError("s3cret")


def test_s27_an_exception_is_an_error_and_no_answer() -> None:
    pipeline = Pipeline([], [NOBODY], [Broken()], [], lambda: 0.0)
    request = decode(check().SerializeToString())
    decision = run(pipeline.decide(request, FAR))
    assert decision.verdict == Failed(Reason.INTERNAL, "RuntimeError in authorization broken")
    encoded = Encoder(ResponseSettings(error_response=True)).encode(request, decision)
    response = CheckResponse.FromString(encoded)
    assert response.status.code != 0
    assert response.error_response.status.code == 500
    assert b"s3cret" not in encoded


FAILING = ("result if input.missing", "result := 1", "result := {}", "result := to_number(input.version.encoding)")


@pytest.mark.parametrize("policy", FAILING)
def test_never_2_a_policy_without_an_answer_allows_nothing(policy: str) -> None:
    decision, response = decide(check(), policy)
    assert isinstance(decision.verdict, Failed)
    assert decision.verdict.reason is Reason.EVALUATION
    assert response.status.code != 0


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "POST", "get"])
def test_s29_the_policy_sees_the_method(method: str) -> None:
    assert allowed(check("/method"))
    assert not allowed(check("/method", method=method))


def test_s29_an_upgrade_is_seen() -> None:
    policy = 'default result := true\nresult := false if input.attributes.request.http.headers.upgrade == "websocket"'
    assert allowed(check("/chat"), policy)
    assert not allowed(check("/chat", headers={"upgrade": "websocket", "connection": "upgrade"}), policy)


def test_s30_connections_and_grpc_servers_get_an_answer() -> None:
    assert allowed(connection())
    other = connection()
    other.attributes.source.principal = "spiffe://mesh.example/ns/other/sa/a"
    assert not allowed(other)
    assert not allowed(a92())


MARKUP = "<script>alert(1)</script>"


@pytest.mark.parametrize("accept", ["text/html", "application/json", "*/*"])
@pytest.mark.parametrize("path", [f"/{MARKUP}/..", f"/{MARKUP}%zz", f"/public?{MARKUP}=%zz"])
def test_s33_a_denial_does_not_give_back_what_was_sent(path: str, accept: str) -> None:
    _, response = decide(check(path, headers={"accept": accept}))
    assert response.denied_response.status.code in (400, 403)
    assert "<script" not in response.denied_response.body
    assert len(response.denied_response.body) <= 4096
