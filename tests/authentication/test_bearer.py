import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.authentication.parts import request
from ztag_extauthz.authentication.bearer import Bearer
from ztag_extauthz.model import Deny, Reason

BEARER = Bearer("authorization", "bearer ", "ztag")
BARE = Bearer("cf-access-jwt-assertion", "", "ztag")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_case_insensitive(scheme: str) -> None:
    assert BEARER.token_of(request(f"{scheme} a.b.c")) == "a.b.c"
    assert BEARER.token_of(request(f"{scheme}  a.b.c ")) == "a.b.c"


@pytest.mark.parametrize("value", [None, "Basic dXNlcjpwYXNz", "DPoP a.b.c", "Bearera.b.c", "a.b.c", ""])
def test_other_schemes_are_not_ours(value: str | None) -> None:
    assert BEARER.token_of(request(value)) is None


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "bearer   "])
def test_s06_an_empty_token_is_a_401(value: str) -> None:
    refusal = BEARER.token_of(request(value))
    assert isinstance(refusal, Deny)
    assert refusal.reason is Reason.INVALID_CREDENTIALS


def test_s06_two_tokens_are_a_400() -> None:
    joined = BEARER.token_of(request("Bearer a.b.c,Bearer d.e.f"))
    repeated = BEARER.token_of(replace(request("Bearer a.b.c"), repeated=frozenset({"authorization"})))
    elsewhere = BEARER.token_of(request("Bearer a.b.c", path="/x?y=1&access_token=d.e.f"))
    for refusal in (joined, repeated, elsewhere):
        assert isinstance(refusal, Deny)
        assert refusal.reason is Reason.MALFORMED_REQUEST
        assert 'error="invalid_request"' in refusal.headers[0][1]


@pytest.mark.parametrize(
    "path", ["/access_token=1", "/x?my_access_token=1", "/x?y=access_token=1", "/x#access_token=1"]
)
def test_only_a_query_parameter_is_a_second_token(path: str) -> None:
    assert BEARER.token_of(request("Bearer a.b.c", path=path)) == "a.b.c"


def test_a_header_of_its_own_holds_the_bare_token() -> None:
    assert BARE.token_of(request(cf_access_jwt_assertion="a.b.c")) == "a.b.c"
    assert BARE.token_of(request("Bearer a.b.c")) is None
    assert isinstance(BARE.token_of(request(cf_access_jwt_assertion="")), Deny)


def test_a_wrong_prefix_in_a_header_of_its_own_is_a_401() -> None:
    prefixed = Bearer("x-token", "token ", "ztag")
    refusal = prefixed.token_of(request(x_token="Bearer a.b.c"))
    assert isinstance(refusal, Deny)
    assert refusal.reason is Reason.INVALID_CREDENTIALS


def test_the_challenge_without_credentials_names_no_error() -> None:
    assert BEARER.challenge() == 'Bearer realm="ztag"'


def test_the_challenge_for_a_bad_token() -> None:
    (header,) = BEARER.invalid("the token has expired").headers
    words = 'Bearer realm="ztag", error="invalid_token", error_description="the token has expired"'
    assert header == ("www-authenticate", words)


@given(st.text(max_size=60))
def test_never_6_a_refusal_repeats_nothing_that_was_sent(value: str) -> None:
    found = BEARER.token_of(request(f"Bearer secret-{value},"))
    assert isinstance(found, Deny)
    assert "secret" not in f"{found.detail}{found.headers}"
