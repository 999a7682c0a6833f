import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import ValidationError

from tests.authentication.parts import FOREVER, NOW, request, token
from tests.authentication.proofs import CALLED, ath, bound, proof, public, resigned, shown
from tests.authentication.rig import Rig
from tests.stores.conftest import redis_server
from ztag_extauthz.authentication.dpop import normalised
from ztag_extauthz.authentication.nonce import LENGTH, Nonces
from ztag_extauthz.authentication.possession import binding_of
from ztag_extauthz.model import Deny, Identity, Reason, Request

DPOP: dict[str, Any] = {"dpop": {"algorithms": ["ES256", "EdDSA", "RS256"]}}


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path, **DPOP)


def refused(rig: Rig, asked: Request) -> str:
    answer = rig.answer(asked)
    assert isinstance(answer, Deny), answer
    assert answer.reason is Reason.INVALID_CREDENTIALS
    assert answer.headers[0][1].startswith('DPoP realm="ztag", error="')
    return answer.detail


def test_a_proof_shows_that_the_client_has_the_key(rig: Rig) -> None:
    text = bound()
    assert rig.identity(shown(text, proof(text))).subject == "alice"
    assert rig.identity(shown(text, proof(text, jti="proof-2"))).subject == "alice"
    assert rig.cached("hit") == 1


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_any_algorithm_of_the_settings(rig: Rig, algorithm: str) -> None:
    from ztag_extauthz.authentication.jose.thumbprint import thumbprint

    text = token(cnf={"jkt": thumbprint(public(algorithm))})
    rig.identity(shown(text, proof(text, algorithm)))


def test_rfc_7638_thumbprint() -> None:
    from ztag_extauthz.authentication.jose.thumbprint import thumbprint

    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3ok"
        "njhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHz"
        "u6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU"
        "8awapJzKnqDKgw"
    )
    jwk = {"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert thumbprint(jwk) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_s24_a_bound_token_without_its_proof_is_refused(rig: Rig) -> None:
    text = bound()
    assert "without a proof" in rig.refusal(text).detail
    assert "without a proof" in rig.refusal(request(f"Bearer {text}", dpop=proof(text))).detail
    assert "proof is missing" in refused(rig, shown(text, None))
    rig.identity(shown(text, proof(text)))
    assert "without a proof" in rig.refusal(text).detail  # remembered or not
    rig.jwt = rig.build()
    assert "without a proof" in rig.refusal(text).detail  # whatever the settings
    assert rig.answer(shown(text, proof(text))) is None


def test_s24_a_token_that_is_not_bound_gains_nothing_by_a_proof(rig: Rig) -> None:
    text = token()
    rig.identity(text)
    assert "not bound" in refused(rig, shown(text, proof(text)))


def test_proofs_can_be_demanded(tmp_path: Path) -> None:
    rig = Rig(tmp_path, dpop={"required": True})
    assert rig.jwt.challenge() == 'DPoP realm="ztag", algs="ES256 EdDSA Ed25519"'
    assert "not bound" in refused(rig, request(f"Bearer {token()}"))
    text = bound()
    rig.identity(shown(text, proof(text)))


def test_the_challenge_names_both_schemes(rig: Rig) -> None:
    assert rig.jwt.challenge() == 'Bearer realm="ztag", DPoP realm="ztag", algs="ES256 EdDSA RS256"'


GOOD: dict[str, Any] = {"alg": "ES256", "typ": "dpop+jwt", "jwk": public()}
BAD: dict[str, tuple[Callable[[str], str], str]] = {
    "another token": (lambda text: proof(text, ath=ath(text + "x")), "another token"),
    "no ath": (lambda text: proof(text, ath=None), "another token"),
    "padded ath": (lambda text: proof(text, ath=ath(text) + "="), "another token"),
    "another method": (lambda text: proof(text, htm="POST"), "another method"),
    "lower-case method": (lambda text: proof(text, htm="get"), "another method"),
    "no method": (lambda text: proof(text, htm=None), "another method"),
    "another path": (lambda text: proof(text, htu="https://api.example/admin"), "another address"),
    "another host": (lambda text: proof(text, htu="https://evil.example/orders"), "another address"),
    "another scheme": (lambda text: proof(text, htu="http://api.example/orders"), "another address"),
    "another port": (lambda text: proof(text, htu="https://api.example:8443/orders"), "another address"),
    "a user": (lambda text: proof(text, htu="https://api.example@evil.example/orders"), "another address"),
    "a path alone": (lambda text: proof(text, htu="/orders"), "another address"),
    "no address": (lambda text: proof(text, htu=None), "another address"),
    "an address list": (lambda text: proof(text, htu=[CALLED]), "another address"),
    "a bad address": (lambda text: proof(text, htu="https://[api/orders"), "another address"),
    "an encoded slash": (lambda text: proof(text, htu="https://api.example/%2Forders"), "another address"),
    "old": (lambda text: proof(text, iat=int(NOW) - 61), "just now"),
    "from tomorrow": (lambda text: proof(text, iat=int(NOW) + 6), "just now"),
    "time as text": (lambda text: proof(text, iat=str(int(NOW))), "just now"),
    "time as truth": (lambda text: proof(text, iat=True), "just now"),
    "no time": (lambda text: proof(text, iat=None), "just now"),
    "no jti": (lambda text: proof(text, jti=None), "jti"),
    "an empty jti": (lambda text: proof(text, jti=""), "jti"),
    "a long jti": (lambda text: proof(text, jti="x" * 257), "jti"),
    "a number as jti": (lambda text: proof(text, jti=1), "jti"),
    "another key": (lambda text: proof(text, name="-thief"), "another key"),
    "signed by another key": (
        lambda text: proof(text, name="-thief", header={"jwk": public()}),
        "signature",
    ),
    "a private key": (lambda text: resigned(text, {**GOOD, "jwk": {**public(), "d": "AAAA"}}), "private"),
    "a shared key": (lambda text: resigned(text, {**GOOD, "jwk": {"kty": "oct", "k": "AAAA"}}), "private"),
    "no key": (lambda text: resigned(text, {"alg": "ES256", "typ": "dpop+jwt"}), "no public key"),
    "a key as text": (lambda text: resigned(text, {**GOOD, "jwk": "key"}), "no public key"),
    "a key's address": (lambda text: resigned(text, {**GOOD, "jwk": None, "jku": "http://127.0.0.1:1/"}), "no public"),
    "alg none": (lambda text: resigned(text, {**GOOD, "alg": "none"}), "algorithm"),
    "alg of another family": (lambda text: resigned(text, {**GOOD, "alg": "RS256"}), "does not fit"),
    "alg not in the settings": (lambda text: resigned(text, {**GOOD, "alg": "ES384"}), "algorithm"),
    "crit": (lambda text: resigned(text, {**GOOD, "crit": ["x"]}), "extension"),
    "typ JWT": (lambda text: resigned(text, {**GOOD, "typ": "JWT"}), "type"),
    "typ of a token": (lambda text: resigned(text, {**GOOD, "typ": "at+jwt"}), "type"),
    "the token itself": (lambda text: text, "no public key"),
    "no token": (lambda _: "x", "three parts"),
    "too long": (lambda text: proof(text, x="y" * 4096), "too long"),
    "two": (lambda text: f"{proof(text)},{proof(text)}", "more than once"),
    "not ASCII": (lambda _: "\u00e4.b.c", "too long or not ASCII"),
}


@pytest.mark.parametrize("name", BAD)
def test_s24_a_bad_proof_is_refused(rig: Rig, name: str) -> None:
    make, words = BAD[name]
    text = bound()
    assert words in refused(rig, shown(text, make(text)))


def test_s24_a_proof_counts_once(rig: Rig) -> None:
    text = bound()
    made = proof(text)
    rig.identity(shown(text, made))
    assert "shown before" in refused(rig, shown(text, made))
    assert "shown before" in refused(rig, shown(text, proof(text)))
    rig.clock.now += 60
    assert "shown before" in refused(rig, shown(text, made))
    rig.clock.now += 1
    assert "just now" in refused(rig, shown(text, made))


def test_a_proof_that_was_refused_has_not_been_shown(rig: Rig) -> None:
    text = bound()
    refused(rig, shown(text, proof(text, name="-thief", header={"jwk": public()})))
    rig.identity(shown(text, proof(text)))


def test_s24_more_proofs_than_can_be_remembered_are_refused(tmp_path: Path) -> None:
    rig = Rig(tmp_path, dpop={"max_remembered": 2})
    text = bound()
    for name in ("a", "b"):
        rig.identity(shown(text, proof(text, jti=name)))
    answer = rig.answer(shown(text, proof(text, jti="c")))
    assert isinstance(answer, Deny)
    assert (answer.reason, answer.status) == (Reason.INVALID_CREDENTIALS, 503)
    rig.clock.now += 75
    rig.identity(shown(text, proof(text, jti="c", iat=int(NOW) + 75)))


def test_s24_two_headers_are_refused(rig: Rig) -> None:
    text = bound()
    asked = replace(shown(text, proof(text)), repeated=frozenset({"dpop"}))
    assert "more than once" in refused(rig, asked)


@pytest.mark.parametrize(
    ("path", "htu"),
    [
        ("/orders?a=1", CALLED),
        ("/orders", f"{CALLED}?a=1"),
        ("/orders#x", f"{CALLED}#y"),
        ("/orders", "HTTPS://API.example:443/orders"),
        ("/%6frders", CALLED),
        ("/a%2fb", "https://api.example/a%2Fb"),
        ("/", "https://api.example"),
    ],
)
def test_one_address_has_one_spelling(rig: Rig, path: str, htu: str) -> None:
    text = bound()
    rig.identity(shown(text, proof(text, htu=htu), path))


def test_what_clients_call_may_differ_from_what_envoy_sees(tmp_path: Path) -> None:
    text = bound()
    plain = replace(shown(text, proof(text)), scheme="http")
    assert "address" in refused(Rig(tmp_path, **DPOP), plain)
    rig = Rig(tmp_path, dpop={"origins": ["https://api.example", "https://other.example"]})
    rig.identity(plain)
    elsewhere = replace(shown(text, proof(text, jti="2", htu="https://other.example/orders")), scheme="http")
    assert "address" in refused(rig, elsewhere)


def test_s15_forwarded_headers_do_not_change_the_address(rig: Rig) -> None:
    text = bound()
    made = proof(text, htu="https://evil.example/orders")
    headers = {"x_forwarded_host": "evil.example", "x_forwarded_proto": "https", "x_envoy_original_path": "/admin"}
    assert "address" in refused(rig, shown(text, made, **headers))


# nonces


def test_a_proof_may_need_a_nonce_of_ours(tmp_path: Path) -> None:
    rig = Rig(tmp_path, dpop={"nonce_secret": "s" * 32})
    text = bound()
    answer = rig.answer(shown(text, proof(text)))
    assert isinstance(answer, Deny)
    (_, challenge), (name, nonce) = answer.headers
    assert 'error="use_dpop_nonce"' in challenge
    assert name == "dpop-nonce"
    rig.identity(shown(text, proof(text, nonce=nonce)))
    rig.clock.now += 61
    answer = rig.answer(shown(text, proof(text, nonce=nonce, iat=int(NOW) + 61)))
    assert isinstance(answer, Deny)
    assert "use_dpop_nonce" in answer.headers[0][1]


@pytest.mark.parametrize("nonce", [None, "", 1, "x" * LENGTH, "A" * LENGTH, "é" * LENGTH, ["x"], "=" * LENGTH])
def test_a_nonce_of_somebody_else_is_none(nonce: Any) -> None:
    assert not Nonces(b"s" * 32, 60).is_ours(nonce, NOW)


@given(st.binary(min_size=24, max_size=24))
def test_nobody_else_makes_our_nonces(raw: bytes) -> None:
    from base64 import urlsafe_b64encode

    assert not Nonces(b"s" * 32, 60).is_ours(urlsafe_b64encode(raw).decode(), NOW)


def test_replicas_know_each_others_nonces() -> None:
    assert Nonces(b"s" * 32, 60).is_ours(Nonces(b"s" * 32, 60).fresh(NOW), NOW + 30)
    assert not Nonces(b"t" * 32, 60).is_ours(Nonces(b"s" * 32, 60).fresh(NOW), NOW)


# what a token is bound to


@pytest.mark.parametrize(
    "cnf",
    [
        {},
        None,
        "x",
        [],
        {"jkt": ""},
        {"jkt": 1},
        {"jkt": "short"},
        {"jkt": "a" * 43, "x5t#S256": 1},
        {"jwk": public()},
        {"kid": "1"},
        {"jkt": "a" * 43, "osc": {}},
        {"x5t": "a" * 43},
    ],
)
def test_s24_a_binding_that_is_not_understood_is_refused(rig: Rig, cnf: Any) -> None:
    with pytest.raises(ValueError, match="bound"):
        binding_of({"cnf": cnf})
    if cnf is not None:
        assert "bound" in rig.refusal(token(cnf=cnf)).detail


# settings


@pytest.mark.parametrize(
    "dpop",
    [
        {"algorithms": []},
        {"algorithms": ["HS256"]},
        {"algorithms": ["none"]},
        {"max_age": 601},
        {"nonce_secret": "short"},
        {"origins": ["api.example"]},
        {"origins": ["https://api.example/"]},
        {"origins": ["https://API.example"]},
    ],
)
def test_wrong_settings(rig: Rig, dpop: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rig.settings(dpop=dpop)


def test_proofs_stand_beside_authorization_only(rig: Rig) -> None:
    with pytest.raises(ValidationError):
        rig.settings(header="x-token", **DPOP)


@given(st.text("htps:/.%aA2fF@[]?#:\\ é", max_size=40))
def test_whatever_comes_has_one_spelling_or_none(address: str) -> None:
    once = normalised(address)
    assert normalised(once) == once or not once


def test_closing_lets_go(rig: Rig) -> None:
    asyncio.run(rig.jwt.close())
    assert isinstance(asyncio.run(rig.jwt.authenticate(request(f"Bearer {token()}"), FOREVER)), Identity)


def test_s24_replicas_share_what_was_shown_and_refuse_while_they_cannot(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as (port, process):
        settings = {"redis": {"url": f"redis://127.0.0.1:{port}", "timeout": 1.0, "retry_after": 0.05}}
        replicas = [Rig(tmp_path, dpop=settings).jwt for _ in range(4)]
        text = bound()

        async def show(name: str) -> list[Any]:
            asked = shown(text, proof(text, jti=name))
            return await asyncio.gather(*(one.authenticate(asked, FOREVER) for one in replicas))

        async def main() -> None:
            for name in ("a", "b", "c"):
                assert [type(one) for one in await show(name)].count(Identity) == 1
            process.kill()
            process.wait()
            for answer in await show("d"):
                assert isinstance(answer, Deny)
                assert (answer.reason, answer.status) == (Reason.INVALID_CREDENTIALS, 503)
            for one in replicas:
                await one.close()

        asyncio.run(main())
