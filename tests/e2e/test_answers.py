"""What a policy's answer changes in a real Envoy: the contract is about what Envoy does with it, not about bytes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.plans import ext_authz, without_hygiene
from ztag_extauthz.demo.client import Ask, Reply, send
from ztag_extauthz.demo.processes import folder_for
from ztag_extauthz.demo.stack import Plan, Stack, running

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("answers")]

POLICY = """
package envoy.authz

result := {"allowed": false, "http_status": 401, "body": "no",
    "headers": {"set-cookie": ["a=1", "b=2"], "x-why": "no"}} if input.parsed_path == ["cookies"]

result := {"allowed": false, "http_status": 401,
    "headers": {"www-authenticate": `Bearer realm="shop"`}} if input.parsed_path == ["challenge"]

result := {"allowed": false, "http_status": 302, "headers": {"location": "/login"}} if input.parsed_path == ["moved"]

result := {"allowed": false} if input.parsed_path == ["denied"]

result := {"allowed": true,
    "headers": {"x-role": ["a", "b"], "x-user": "alice"},
    "request_headers_to_remove": ["x-secret"],
    "response_headers_to_add": {"x-added": ["1", "2"]},
    "query_parameters_to_set": {"set": "1&forged=1#", "known": "%41"},
    "query_parameters_to_remove": ["token"]} if input.parsed_path == ["changed"]
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with folder_for("policy") as folder:
        (folder / "answers.rego").write_text(POLICY)
        rego = {"kind": "rego", "policies": [str(folder)]}
        resource = {"resource": "https://shop.example", "authorization_servers": ["https://issuer.example"]}
        settings = {
            "authentication": [{"kind": "anonymous"}],
            "authorization": [rego],
            "protected_resources": [resource],
        }
        with running(Plan(settings=settings, change_envoy=_trusting)) as running_stack:
            yield running_stack


def _trusting(document: dict[str, Any]) -> None:
    """With `validate_mutations` Envoy 1.40 refuses query parameters of anything but letters, digits and `*-._`."""
    without_hygiene(document)
    ext_authz(document)["validate_mutations"] = False


def ask(stack: Stack, path: str, *headers: tuple[str, str]) -> Reply:
    return send(stack.edge, Ask(path=path, headers=headers))


def values(reply: Reply, name: str) -> list[str]:
    return [value for key, value in reply.headers if key.lower() == name]


def test_a_denial_keeps_every_cookie(stack: Stack) -> None:
    reply = ask(stack, "/cookies")
    assert (reply.status, reply.body) == (401, b"no")
    assert values(reply, "set-cookie") == ["a=1", "b=2"]
    assert values(reply, "x-why") == ["no"]
    assert len(values(reply, "x-ztag-decision-id")) == 1


def test_a_denial_can_send_the_caller_elsewhere(stack: Stack) -> None:
    reply = ask(stack, "/moved")
    assert (reply.status, reply.body, reply.header("location")) == (302, b"", "/login")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_metadata_of_a_resource_is_answered_in_the_upstreams_place(stack: Stack, method: str) -> None:
    reply = send(stack.edge, Ask(method=method, path="/.well-known/oauth-protected-resource"))
    assert reply.status == 200
    assert values(reply, "content-type") == ["application/json"]
    assert values(reply, "access-control-allow-origin") == ["*"]
    document = json.loads(reply.body or "{}")
    assert document.get("authorization_servers", []) == (["https://issuer.example"] if method == "GET" else [])


def test_a_challenge_names_the_metadata(stack: Stack) -> None:
    address = "https://shop.example/.well-known/oauth-protected-resource"
    challenge = f'Bearer resource_metadata="{address}", realm="shop"'
    assert values(ask(stack, "/challenge"), "www-authenticate") == [challenge]


def test_an_allow_changes_the_request(stack: Stack) -> None:
    forged = (("x-role", "root"), ("x-user", "root"), ("x-secret", "s"), ("x-ztag-subject", "root"))
    reply = ask(stack, "/changed?token=t&known=b&kept=c", *forged)
    assert reply.status == 200
    assert reply.seen_header("x-role") == ["a,b"]
    assert reply.seen_header("x-user") == ["alice"]
    assert reply.seen_header("x-secret") == []
    assert reply.seen_header("x-ztag-subject") == ["anonymous"]
    query = set(reply.seen["path"].partition("?")[2].split("&"))
    assert query == {"known=%41", "kept=c", "set=1%26forged%3D1%23"}


def test_an_allow_adds_to_the_response(stack: Stack) -> None:
    assert values(ask(stack, "/changed"), "x-added") == ["1", "2"]


@pytest.mark.parametrize(("path", "code"), [("/denied", "7"), ("/cookies", "16"), ("/a/../b", "3")])
def test_a_grpc_client_gets_a_status(stack: Stack, path: str, code: str) -> None:
    reply = ask(stack, path, ("content-type", "application/grpc"), ("te", "trailers"))
    assert reply.status == 200
    assert reply.header("grpc-status") == code
    assert reply.header("grpc-message")
    assert not reply.body
