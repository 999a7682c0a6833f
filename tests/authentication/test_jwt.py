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
from ztag_extauthz.model import Deny, Identity, Reason


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_says_who_asks(rig: Rig, algorithm: str) -> None:
    identity = rig.identity(token(algorithm, scope="read"))
    assert identity == Identity("alice", ISSUER, "jwt", claims(scope="read"), NOW + 600, ("read",))


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
    assert [entry.component for entry in both.readiness()] == [
        f"key file of {ISSUER}",
        "key file of https://other.example",
    ]


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


@pytest.mark.parametrize("missing", ["client_id", "iat", "jti"])
def test_an_access_token_needs_what_rfc_9068_requires(rig: Rig, missing: str) -> None:
    without: dict[str, Any] = {missing: None}
    rig.identity(token(**without))
    rig.jwt = rig.build(types=["at+jwt"])
    refusal = rig.refusal(token(**without))
    assert refusal.detail == f"the token lacks {missing}"
    rig.jwt = rig.build(types=["at+jwt"], required_claims=[])
    rig.identity(token(**without))
    rig.jwt = rig.build(required_claims=["tenant", "azp"])
    assert rig.refusal(token()).detail == "the token lacks azp, tenant"


def test_an_id_token_is_no_access_token_where_only_those_are_declared(rig: Rig) -> None:
    rig.jwt = rig.build(types=["at+jwt"])
    for header in ({"typ": "JWT"}, {"typ": None}):
        assert "type" in rig.refusal(token(header=header)).detail
    rig.jwt = rig.build(types=["JWT", "absent"])
    rig.identity(token(header={"typ": "JWT"}, client_id=None, jti=None))
    rig.identity(token(header={"typ": None}, client_id=None, jti=None))
    assert "type" in rig.refusal(token()).detail


def test_a_token_may_not_live_too_long(rig: Rig) -> None:
    day = 86_400
    rig.identity(token(exp=int(NOW) + 300 * day))
    rig.jwt = rig.build(max_lifetime=day)
    rig.identity(token(exp=int(NOW) + day))
    assert "longer" in rig.refusal(token(exp=int(NOW) + day + 6)).detail
    assert "longer" in rig.refusal(token(iat=int(NOW) - 3600, nbf=None, exp=int(NOW) + day)).detail
    rig.jwt = rig.build(max_lifetime=60, required_claims=[])
    assert "longer" in rig.refusal(token(iat=None)).detail
    rig.identity(token(iat=None, exp=int(NOW) + 60))


@pytest.mark.parametrize(
    ("rule", "holds", "fails"),
    [
        ({"claim": "tenant", "equals": "acme"}, ["acme"], ["Acme", "acme ", 1, None, ["acme"]]),
        ({"claim": "level", "equals": 1}, [1, 1.0], [True, "1", 2]),
        ({"claim": "verified", "equals": True}, [True], [1, "true", False]),
        ({"claim": "tenant", "one_of": ["a", "b", 3]}, ["a", "b", 3], ["c", "", 4]),
        ({"claim": "email", "matches": r"[^@]+@example\.com"}, ["a@example.com"], ["a@example.com.evil", "a@b", 1]),
        ({"claim": "amr", "contains": "hwk"}, [["pwd", "hwk"], "pwd hwk"], [["hwk2"], "hwk2", 1, [["hwk"]]]),
        ({"claim": "realm.roles", "contains": "x"}, [], ["x"]),
    ],
)
def test_a_rule_holds_or_the_token_is_refused(
    rig: Rig, rule: dict[str, Any], holds: list[Any], fails: list[Any]
) -> None:
    rig.jwt = rig.build(claims=[rule])
    name = rule["claim"]
    for value in holds:
        rig.identity(token(**{name: value}))
    for value in fails:
        if name == "realm.roles":
            rig.identity(token(realm={"roles": value}))
            continue
        assert (
            rig.refusal(token(**{name: value})).detail == f"the claim {name} of the token is not as it has to be here"
        )
    rig.refusal(token())


@pytest.mark.parametrize(
    "rule",
    [
        {"claim": "x"},
        {"claim": "x", "equals": 1, "contains": 1},
        {"claim": "x", "matches": "("},
        {"claim": 'a"b', "equals": 1},
        {"equals": 1},
    ],
)
def test_wrong_rules(rig: Rig, rule: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rig.settings(claims=[rule])


def test_scopes_roles_and_groups_are_told_alike_whatever_their_claims(rig: Rig) -> None:
    identity = rig.identity(token(scope="read write", roles=["admin"], groups=["a b"]))
    assert (identity.scopes, identity.roles, identity.groups) == (("read", "write"), ("admin",), ("a b",))
    rig.jwt = rig.build(scopes_claim="scp", roles_claim="realm_access.roles", groups_claim="https://x.example/groups")
    renamed: dict[str, Any] = {"https://x.example/groups": ["ops"]}
    identity = rig.identity(token(scp=["read"], realm_access={"roles": ["admin"]}, **renamed))
    assert (identity.scopes, identity.roles, identity.groups) == (("read",), ("admin",), ("ops",))
    for wrong in ({"scp": 1}, {"scp": [1]}, {"realm_access": {"roles": {"admin": True}}}):
        assert "lists no names" in rig.refusal(token(**wrong)).detail


# a cookie


def test_a_token_may_stand_in_a_cookie(rig: Rig) -> None:
    assert rig.answer(request(cookie=f"session={token()}")) is None
    rig.jwt = rig.build(cookie="session")
    rig.identity(request(cookie=f"theme=dark; session={token()}; x=y"))
    rig.identity(token())
    assert rig.answer(request(cookie="theme=dark; xsession=1")) is None
    assert "no token" in rig.refusal(request(cookie="session=")).detail
    assert (
        "signature" in rig.refusal(request(cookie=f"session={token(name='-forged', header={'kid': 'RS256'})}")).detail
    )


@pytest.mark.parametrize("joint", [";", "; ", ","])
def test_s06_tokens_in_two_places_are_a_400(rig: Rig, joint: str) -> None:
    rig.jwt = rig.build(cookie="session")
    for asked in (
        request(f"Bearer {token()}", cookie=f"session={token()}"),
        request(f"Basic {token()}", cookie=f"session={token()}"),
        request(cookie=f"session={token()}{joint}session={token()}"),
        request(cookie=f"session=x{joint}session={token()}"),
    ):
        answer = rig.answer(asked)
        assert isinstance(answer, Deny)
        assert (answer.reason, answer.detail) == (Reason.MALFORMED_REQUEST, "tokens were sent in two places")


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
