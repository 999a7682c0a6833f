"""What the demo asks, and what has to come back."""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from ztag_extauthz.assertion import HEADER
from ztag_extauthz.demo import assertions
from ztag_extauthz.demo.client import Ask, Reply
from ztag_extauthz.demo.issuer import Issuer
from ztag_extauthz.demo.stack import BODY_BYTES


class Case(Struct, frozen=True):
    """A request, the answer that it must get, and why."""

    name: str
    ask: Ask
    status: int
    why: str
    also: Callable[[Reply], bool] = lambda _: True
    """What else has to be true of the answer."""
    while_ztag_is_stopped: bool = False
    past_envoy: bool = False
    """Sent to the upstream itself, as if somebody had got behind Envoy."""


def cases(issuer: Issuer, folder: Path) -> list[Case]:
    """Return the demo's requests, in the order in which they are sent; `folder` has the key of assertions."""
    return [
        *_identities(issuer),
        *_refused_tokens(issuer),
        *_attacks(issuer),
        *_assertions(issuer, folder),
        *_sign_ins(issuer),
        *_policies(issuer),
        *_failures(issuer),
    ]


def bearer(token: str) -> tuple[str, str]:
    return "authorization", f"Bearer {token}"


def _get(path: str, *headers: tuple[str, str]) -> Ask:
    return Ask(path=path, headers=headers)


def _identities(issuer: Issuer) -> list[Case]:
    ann = issuer.token("ann")
    return [
        Case(
            "valid RS256 token",
            _get("/orders", bearer(ann)),
            200,
            "the upstream is told x-user: ann",
            lambda reply: reply.seen_header("x-user") == ["ann"] and reply.seen_header("x-ztag-subject") == ["ann"],
        ),
        Case("the same token again", _get("/orders/7", bearer(ann)), 200, "remembered by its digest until exp"),
        Case("valid ES256 token", _get("/orders", bearer(issuer.token("eve", kid="ec"))), 200, "an elliptic-curve key"),
        Case(
            "no token, open path",
            _get("/health"),
            200,
            "the policy lets anybody ask",
            lambda reply: reply.seen_header("x-ztag-kind") == ["anonymous"],
        ),
        Case(
            "no token",
            _get("/orders"),
            401,
            "the policy asks for credentials",
            lambda reply: reply.header("www-authenticate").startswith("Bearer"),
        ),
    ]


def _sign_ins(issuer: Issuer) -> list[Case]:
    weak = bearer(issuer.token("ann"))
    strong = bearer(issuer.token("ann", acr="mfa", auth_time=int(time.time())))
    metadata = "https://shop.example/.well-known/oauth-protected-resource"
    return [
        Case(
            "sign-in too weak for the route",
            _get("/orders/refunds", weak),
            401,
            "a challenge says what is asked for (RFC 9470)",
            lambda reply: 'acr_values="mfa", max_age="300"' in reply.header("www-authenticate"),
        ),
        Case("strong and fresh sign-in", _get("/orders/refunds", strong), 200, "acr and auth_time are good enough"),
        Case(
            "where to get a token",
            _get("/.well-known/oauth-protected-resource"),
            200,
            "ztag answers (RFC 9728)",
            lambda reply: reply.seen["authorization_servers"] == [issuer.url],
        ),
        Case(
            "challenge that names it",
            _get("/orders"),
            401,
            "a client finds the issuer by itself",
            lambda reply: metadata in reply.header("www-authenticate"),
        ),
    ]


def _refused_tokens(issuer: Issuer) -> list[Case]:
    past = int(time.time()) - 600
    refused = [
        ("expired token", issuer.token("ann", iat=past - 60, exp=past), "exp is over"),
        ("token for another service", issuer.token("ann", aud="billing"), "aud does not name us"),
        ("token of another issuer", issuer.token("ann", iss="https://evil.example"), "iss is not in the settings"),
        ("alg: none", issuer.unsigned("ann"), "a token does not choose its algorithm"),
        ("forged signature", issuer.forged("ann"), "signed with another key"),
        (
            "token that names its own keys",
            issuer.token("ann", kid="mine", headers={"jku": f"{issuer.url}/evil-keys"}),
            "jku is never followed",
        ),
        ("no token at all in it", "e30", "not a JWT"),
    ]
    return [
        Case(
            name,
            _get("/orders", bearer(token)),
            401,
            why,
            lambda reply: "invalid_token" in reply.header("www-authenticate") and "/evil-keys" not in issuer.asked,
        )
        for name, token, why in refused
    ]


def _attacks(issuer: Issuer) -> list[Case]:
    ann = bearer(issuer.token("ann"))
    spoofed = (("x-user", "root"), ("x-ztag-subject", "root"), ("x-ztag-role", "root"))
    return [
        Case(
            "spoofed identity headers",
            _get("/orders", ann, *spoofed),
            200,
            "the client's copies are gone",
            lambda reply: reply.seen_header("x-user") == ["ann"] and b"root" not in reply.body,
        ),
        Case(
            "spoofed, on an open path",
            _get("/health", *spoofed),
            200,
            "removed though nobody is known",
            lambda reply: b"root" not in reply.body,
        ),
        Case("two tokens", _get("/orders", ann, ann), 400, "which of them would count?"),
        Case("ambiguous path /orders;a=1", _get("/orders;a=1", ann), 400, "servers differ on ; parameters"),
        Case("encoded slash %2f", _get("/orders%2f..%2fadmin", ann), 400, "Envoy refuses to guess"),
        Case("dot segments", _get("/orders/../admin/users", ann), 403, "decided on as /admin/users"),
        Case("header with underscore", _get("/orders", ann, ("x_user", "root")), 400, "some servers read x-user"),
    ]


def _assertions(issuer: Issuer, folder: Path) -> list[Case]:
    ann = bearer(issuer.token("ann", scope="orders:read"))
    with tempfile.TemporaryDirectory() as thief:
        assertions.write_key(Path(thief))
        forged = (HEADER, assertions.made_by(Path(thief), assertions.UPSTREAM))
    replayed = (HEADER, assertions.made_by(folder, "billing"))
    return [
        Case(
            "a signed assertion",
            _get("/orders", ann),
            200,
            "the upstream verified who asks: ann, and with which scopes",
            lambda reply: (
                reply.seen.get("caller", {}).get("subject") == "ann"
                and reply.seen["caller"]["scopes"] == ["orders:read"]
            ),
        ),
        Case(
            "a client's own assertion",
            _get("/orders", ann, forged),
            200,
            "ztag's replaces it",
            lambda reply: reply.seen.get("caller", {}).get("subject") == "ann",
        ),
        Case("forged, behind Envoy", _get("/orders", forged), 401, "the upstream knows ztag's keys", past_envoy=True),
        Case("replayed from billing", _get("/orders", replayed), 401, "made for another upstream", past_envoy=True),
    ]


def _policies(issuer: Issuer) -> list[Case]:
    ann = bearer(issuer.token("ann", roles=["editor"], regions=["eu"], tenant="t1"))
    return [
        Case("forbidden method", Ask(method="DELETE", path="/orders/7", headers=(ann,)), 403, "no rule allows DELETE"),
        Case(
            "forbidden path",
            _get("/admin/users", ann),
            403,
            "ann is no admin",
            lambda reply: reply.problem.get("reason") == "policy" and bool(reply.problem.get("decision_id")),
        ),
        Case("another region's report", _get("/reports?region=us", ann), 403, "the query is decided upon"),
        Case(
            "own region's report",
            _get("/reports?region=eu", ann),
            200,
            "the policy adds tenant=t1 to the query",
            lambda reply: "tenant=t1" in reply.seen["path"],
        ),
        Case("order over 10", _order(ann, {"amount": 10}), 200, "the body is decided upon"),
        Case("order over 5,000", _order(ann, {"amount": 5000}), 403, "more than 1,000"),
        Case(
            "order that does not fit",
            _order(ann, {"amount": 10, "note": "x" * BODY_BYTES}),
            403,
            "the policy saw a part of the body only",
        ),
        Case(
            "order that is no JSON",
            Ask(method="POST", path="/orders", headers=(ann, JSON), body=b"{"),
            400,
            "unreadable",
        ),
    ]


def _failures(issuer: Issuer) -> list[Case]:
    ann = bearer(issuer.token("ann"))
    return [Case("ztag is stopped", _get("/orders", ann), 503, "fail closed", while_ztag_is_stopped=True)]


JSON = ("content-type", "application/json")


def _order(token: tuple[str, str], document: dict[str, object]) -> Ask:
    return Ask(method="POST", path="/orders", headers=(token, JSON), body=json.dumps(document).encode())
