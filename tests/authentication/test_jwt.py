from typing import Any

import pytest
from pydantic import ValidationError

from tests.authentication.parts import (
    ALGORITHMS,
    ISSUER,
    NOW,
    claims,
    jwk,
    key_set,
    request,
    token,
)
from tests.authentication.rig import Rig
from ztag_extauthz.authentication.interface import Authenticator, join
from ztag_extauthz.authentication.jwt import Jwt
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.model import Identity


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_says_who_asks(rig: Rig, algorithm: str) -> None:
    identity = rig.identity(token(algorithm, scope="read"))
    assert identity == Identity("alice", ISSUER, "jwt", claims(scope="read"), NOW + 600)


def test_no_credential_is_no_answer(rig: Rig) -> None:
    assert rig.answer(request()) is None
    assert rig.answer(request("Basic dXNlcjpwYXNz")) is None
    assert rig.jwt.challenge() == 'Bearer realm="ztag"'


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"iss": "https://other.example"}, "issuer"),
        ({"iss": f"{ISSUER}/"}, "issuer"),
        ({"iss": ISSUER.upper()}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"aud": "other"}, "audience"),
        ({"exp": int(NOW) - 60}, "expired"),
        ({"exp": None}, "missing"),
        ({"nbf": int(NOW) + 60}, "not valid yet"),
        ({"iat": int(NOW) + 60}, "not valid yet"),
        ({"sub": None}, "stands for"),
        ({"header": {"typ": "dpop+jwt"}}, "type"),
        ({"header": {"kid": "unknown"}}, "names no key"),
        ({"header": {"kid": "../../etc/passwd"}}, "names no key"),
        ({"header": {"kid": "' OR 1=1 --"}}, "names no key"),
        ({"header": {"kid": "ES256"}}, "names no key"),
        ({"name": "-forged", "header": {"kid": "RS256"}}, "signature"),
    ],
)
def test_a_bad_token_is_a_401_that_says_why(rig: Rig, changes: dict[str, Any], words: str) -> None:
    refusal = rig.refusal(token(**changes))
    assert words in refusal.detail
    ((name, challenge),) = refusal.headers
    assert name == "www-authenticate"
    assert challenge == f'Bearer realm="ztag", error="invalid_token", error_description="{refusal.detail}"'


def test_every_refusal_is_plain_ascii(rig: Rig) -> None:
    for text in (
        "",
        "a.b.c",
        "\u00e4.b.c",
        "x" * 10_000,
        token(iss="x"),
        token(aud='"\\'),
        token(header={"crit": ["x"]}),
    ):
        detail = rig.refusal(text).detail
        assert detail.isascii()
        assert '"' not in detail
        assert "\\" not in detail


def two_issuers(rig: Rig, **changes: Any) -> list[Authenticator]:
    (rig.folder / "other.json").write_bytes(key_set(jwk("RS256", "-other", kid="RS256"), jwk("ES256", "-other")))
    other = rig.build(**{"issuer": "https://other.example", "jwks": {"file": "other.json"}} | changes)
    return join([rig.jwt, other])


def test_several_issuers_share_one_reader(rig: Rig) -> None:
    (both,) = two_issuers(rig)
    assert isinstance(both, Jwt)
    rig.jwt = both
    assert rig.identity(token()).issuer == ISSUER
    other = token("ES256", "-other", iss="https://other.example", sub="bob")
    assert (rig.identity(other).issuer, rig.identity(other).subject) == ("https://other.example", "bob")
    assert "issuer" in rig.refusal(token(iss="https://third.example")).detail
    assert [entry.component for entry in both.readiness()] == [f"keys of {ISSUER}", "keys of https://other.example"]


def test_s14_no_issuers_keys_verify_anothers_tokens(rig: Rig) -> None:
    (both,) = two_issuers(rig)
    assert isinstance(both, Jwt)
    rig.jwt = both
    rig.identity(token())
    assert "signature" in rig.refusal(token(iss="https://other.example")).detail
    assert "signature" in rig.refusal(token("RS256", "-other", {"kid": "RS256"})).detail


def test_s14_the_same_token_means_what_each_settings_say(rig: Rig) -> None:
    text = token()
    rig.identity(text)
    rig.jwt = rig.build(audiences=["elsewhere"])
    assert "audience" in rig.refusal(text).detail


def test_another_header_is_another_reader(rig: Rig) -> None:
    assert len(two_issuers(rig, header="X-Other-Token")) == 2
    rig.jwt = rig.build(header="X-Other-Token")
    assert rig.answer(request(f"Bearer {token()}")) is None
    rig.identity(request(x_other_token=token()))
    assert "missing" in rig.refusal(request(x_other_token="")).detail
    rig.jwt = rig.build(header="X-Other-Token", prefix="Token")
    rig.identity(request(x_other_token=f"token {token()}"))


# settings


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": ""},
        {"issuer": None},
        {"audiences": []},
        {"algorithms": []},
        {"algorithms": ["none"]},
        {"algorithms": ["HS256"]},
        {"algorithms": ["RS1"]},
        {"clock_skew": 61},
        {"clock_skew": -1},
        {"types": []},
        {"realm": 'a"b'},
        {"realm": "a\r\nb"},
        {"header": "a b"},
        {"prefix": "a b"},
        {"max_token_bytes": 1_000_000},
        {"issuer": "accounts.example", "jwks": {}},
        {"issuer": "http://issuer.example", "jwks": {}},
        {"audience": ["mesh"]},
    ],
)
def test_wrong_settings(rig: Rig, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rig.settings(**changes)


def test_an_issuer_that_is_no_address_is_fine_with_keys(rig: Rig) -> None:
    assert rig.settings(issuer="accounts.example").issuer == "accounts.example"


def test_a_missing_file_of_keys_is_a_mistake_of_the_settings(rig: Rig) -> None:
    with pytest.raises(SettingsError, match=r"missing\.json"):
        rig.build(jwks={"file": "missing.json"})


def test_types_can_be_narrowed(rig: Rig) -> None:
    rig.jwt = rig.build(types=["application/AT+JWT"])
    rig.identity(token())
    for header in ({"typ": "JWT"}, {"typ": None}):
        assert "type" in rig.refusal(token(header=header)).detail


def test_the_longest_token_of_any_issuer_is_read_but_each_has_its_own_limit(rig: Rig) -> None:
    (both,) = two_issuers(rig, max_token_bytes=20_000)
    assert isinstance(both, Jwt)
    rig.jwt = both
    long = "y" * 9_000
    assert "too long" in rig.refusal(token(x=long)).detail
    rig.identity(token("ES256", "-other", iss="https://other.example", x=long))
