"""Tokens: made here, decoded, verified, and held against constraints."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ztag_extauthz.rego.builtins.catalogue import REGISTRY
from ztag_extauthz.rego.builtins.interface import Context
from ztag_extauthz.rego.errors import BuiltinError

SECRET = {"kty": "oct", "k": "c2VjcmV0"}
NOW = 1_700_000_000


def signed(claims: dict[str, Any], **header: Any) -> str:
    token = REGISTRY["io.jwt.encode_sign"].function({"alg": "HS256", "typ": "JWT", **header}, claims, SECRET)
    assert isinstance(token, str)
    return token


def verified(token: str, **constraints: Any) -> Any:
    context = Context(now_ns=NOW * 10**9)
    return REGISTRY["io.jwt.decode_verify"].function(context, token, {"secret": "secret", **constraints})


@pytest.mark.parametrize(
    ("claims", "constraints", "valid"),
    [
        ({}, {}, True),
        ({"iss": "me"}, {"iss": "me"}, True),
        ({"iss": "you"}, {"iss": "me"}, False),
        ({}, {"iss": "me"}, False),
        ({"aud": "a"}, {}, False),
        ({"aud": ["a", "b"]}, {"aud": "b"}, True),
        ({}, {"aud": "b"}, False),
        ({"exp": NOW + 1}, {}, True),
        ({"exp": NOW}, {}, False),
        ({"nbf": NOW}, {}, True),
        ({"nbf": NOW + 1}, {}, False),
        ({"exp": 5}, {"time": 4_000_000_000}, True),
        ({}, {"alg": "HS512"}, False),
        ({}, {"alg": "HS256"}, True),
    ],
)
def test_claims_are_held_against_constraints(
    claims: dict[str, Any],
    constraints: dict[str, Any],
    valid: bool,  # noqa: FBT001
) -> None:
    """A token is valid if all constraints hold; else nothing of it is shown."""
    answer = verified(signed(claims), **constraints)
    assert answer == [True, {"alg": "HS256", "typ": "JWT"}, claims] if valid else answer == [False, {}, {}]


def test_a_changed_token_is_not_valid() -> None:
    """The signature covers header and payload."""
    header, payload, signature = signed({"a": 1}).split(".")
    other = signed({"a": 2}).split(".")[1]
    assert verified(f"{header}.{other}.{signature}") == [False, {}, {}]
    assert verified(f"{header}.{payload}.{signature}")[0] is True


def test_a_token_without_algorithm_is_not_valid() -> None:
    """`none` is no algorithm."""
    token = signed({}).split(".")
    forged = "eyJhbGciOiJub25lIn0"
    assert verified(f"{forged}.{token[1]}.") == [False, {}, {}]


@pytest.mark.parametrize(
    "constraints",
    [{"bogus": 1}, {"cert": json.dumps({"keys": []})}, {"time": -1}, {"time": "x"}, {"secret": ""}, {"iss": 1}],
)
def test_bad_constraints_are_errors(constraints: dict[str, Any]) -> None:
    """An unknown constraint, two keys or none, and wrong types have no answer."""
    with pytest.raises(BuiltinError):
        verified(signed({}), **constraints)


def test_decode_shows_what_is_not_verified() -> None:
    """Decoding looks at no key; the signature is given in hexadecimal."""
    header, payload, signature = REGISTRY["io.jwt.decode"].function(signed({"sub": "x"}))
    assert (header["alg"], payload) == ("HS256", {"sub": "x"})
    assert len(signature) == 64
