import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.authentication.parts import ALGORITHMS, conformance, encode, jwk, key_set, sign, token
from ztag_extauthz.authentication.jose.compact import TokenError, parse
from ztag_extauthz.authentication.jose.key_set import MAX_KEYS, KeySet, KeySetError
from ztag_extauthz.authentication.jose.text import decode_base64url

EVERY = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "Ed448")


def verifies(keys: KeySet, text: str) -> bool:
    parsed = parse(text)
    verify = keys.verifier(parsed.key_id, parsed.algorithm)
    return verify is not None and verify(parsed.signature, parsed.signed)


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, "RS384", "PS512", "Ed448"])
def test_verifies_what_another_implementation_signed(algorithm: str) -> None:
    keys = KeySet(key_set(jwk(algorithm)), EVERY)
    text = token(algorithm)
    assert verifies(keys, text)
    head, payload, signature = text.split(".")
    forged = decode_base64url(signature.encode())
    for place in (0, len(forged) // 2, len(forged) - 1):
        changed = bytearray(forged)
        changed[place] ^= 1
        assert not verifies(keys, f"{head}.{payload}.{encode(bytes(changed))}")
    for other in (b"", forged[:-1], forged + b"\0", b"\0" * len(forged), b"\xff" * len(forged)):
        assert not verifies(keys, f"{head}.{payload}.{encode(other)}")


def test_never_7_an_algorithm_of_the_token_counts_only_if_settings_and_key_have_it() -> None:
    keys = KeySet(key_set(jwk("RS256")), ("RS256",))
    assert keys.verifier("RS256", "RS256")
    for algorithm in ("PS256", "RS512", "ES256", "HS256", "none", ""):
        assert keys.verifier("RS256", algorithm) is None


def test_a_key_that_names_its_algorithm_is_for_no_other() -> None:
    keys = KeySet(key_set(jwk("RS256", alg="PS256")), EVERY)
    assert keys.verifier("RS256", "PS256")
    assert keys.verifier("RS256", "RS256") is None


def test_eddsa_and_its_new_name_are_one() -> None:
    for alg in (None, "EdDSA", "Ed25519"):
        keys = KeySet(key_set(jwk("EdDSA", alg=alg)), EVERY)
        assert keys.verifier("EdDSA", "EdDSA")
    assert KeySet(key_set(jwk("EdDSA")), EVERY).verifier("EdDSA", "Ed25519")
    assert KeySet(key_set(jwk("EdDSA")), EVERY).verifier("EdDSA", "Ed448") is None


def test_without_a_kid_only_one_key_may_fit() -> None:
    alone = KeySet(key_set(jwk("RS256"), jwk("ES256")), EVERY)
    assert verifies(alone, sign(b'{"alg":"RS256"}', b"{}"))
    two = KeySet(key_set(jwk("RS256"), jwk("RS256", "-next")), EVERY)
    assert not verifies(two, sign(b'{"alg":"RS256"}', b"{}"))
    assert verifies(two, token("RS256", "-next"))


def test_a_key_without_kid_is_not_taken_for_a_named_one() -> None:
    keys = KeySet(key_set(jwk("RS256", kid=None)), EVERY)
    assert not verifies(keys, token())
    assert verifies(keys, sign(b'{"alg":"RS256"}', b"{}"))
    assert not keys.knows("RS256")


def test_the_token_never_brings_its_key() -> None:
    keys = KeySet(key_set(jwk("RS256")), EVERY)
    attacker = jwk("RS256", "-attacker")
    header = {"alg": "RS256", "kid": "RS256", "jwk": attacker, "jku": "https://attacker.example", "x5c": ["AA=="]}
    assert not verifies(keys, sign(json.dumps(header).encode(), b"{}", "RS256", "-attacker"))


def weak(bits: int) -> dict[str, Any]:
    key = rsa.generate_private_key(65537, bits).public_key()
    return {**json.loads(RSAAlgorithm.to_jwk(key)), "kid": "weak"}


UNUSABLE = [
    {"kty": "RSA", "kid": "a"},
    {"kty": "AKP", "kid": "a"},
    {"kid": "a"},
    {**jwk("RS256"), "n": encode(b"\xff" * 127)},
    {**jwk("RS256"), "n": encode(b"\xff" * 2048)},
    {**jwk("RS256"), "n": 1},
    {**jwk("RS256"), "e": encode(b"\x02")},
    {**jwk("RS256"), "e": encode(b"\x01" * 9)},
    {**jwk("RS256"), "alg": "ES256"},
    {**jwk("RS256"), "alg": "HS256"},
    {**jwk("RS256"), "alg": ["RS256"]},
    {**jwk("RS256"), "use": "enc"},
    {**jwk("RS256"), "use": None},
    {**jwk("RS256"), "key_ops": ["encrypt"]},
    {**jwk("RS256"), "key_ops": "verify"},
    {**jwk("ES256"), "crv": "P-384"},
    {**jwk("ES256"), "crv": "secp256k1"},
    {**jwk("ES256"), "y": jwk("ES256")["x"]},
    {**jwk("ES256"), "x": encode(b"\0" * 33)},
    {**jwk("EdDSA"), "crv": "X25519"},
    {**jwk("EdDSA"), "x": encode(b"\0" * 31)},
]


@pytest.mark.parametrize("unusable", UNUSABLE)
def test_s23_unusable_keys_are_passed_over(unusable: dict[str, Any]) -> None:
    with pytest.raises(KeySetError, match="no key can verify"):
        KeySet(key_set(unusable), EVERY)
    keys = KeySet(key_set({**unusable, "kid": "bad"}, jwk("ES256", "-good")), EVERY)
    assert not keys.knows("bad")
    assert verifies(keys, token("ES256", "-good"))


def test_s23_short_rsa_keys_are_unusable() -> None:
    with pytest.raises(KeySetError, match="1024 bits"):
        KeySet(key_set(weak(1024)), EVERY)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[]}',
        b'{"keys":[1]}',
        b'{"keys":[],"keys":[]}',
        key_set(jwk("RS256"), jwk("RS256")),
        key_set(jwk("RS256"), jwk("ES256", kid="RS256")),
        key_set(jwk("RS256", kid=1)),
        key_set(jwk("RS256"), {"kty": "oct", "k": "AAAA", "kid": "s"}),
        key_set(jwk("RS256"), {**jwk("ES256"), "d": "AAAA"}),
        key_set(*({**jwk("ES256"), "kid": str(number)} for number in range(MAX_KEYS + 1))),
    ],
)
def test_s23_a_set_that_is_wrong_in_itself_is_refused_whole(document: bytes) -> None:
    with pytest.raises(KeySetError):
        KeySet(document, EVERY)


def test_a_set_without_any_accepted_algorithm_says_so() -> None:
    with pytest.raises(KeySetError, match="none of the algorithms in the settings"):
        KeySet(key_set(jwk("RS256")), ("ES256",))


def test_never_6_errors_hold_no_key() -> None:
    document = key_set({**jwk("RS256"), "d": "c2VjcmV0LXNlY3JldC1zZWNyZXQ"}, jwk("ES256"))
    with pytest.raises(KeySetError) as caught:
        KeySet(document, EVERY)
    assert "c2VjcmV0" not in str(caught.value)


# Tokens that a strict verifier may judge otherwise than the table, and two that the table states twice, differently.
DOUBTFUL = {346, 347, 350, 351, 372}
CONTRADICTORY = {367, 370}
PRIVATE = ("d", "p", "q", "dp", "dq", "qi")


SYMMETRIC, NO_KEY, SIGNATURE = "a symmetric or a private key", "no key fits", "the signature is not right"
NOT_CANONICAL, NOT_THREE = "not canonical base64url of strict JSON", "does not have three parts"
REASONS = {
    "ModifiedPadding": {SIGNATURE},
    "ModifiedSignature": {SIGNATURE},
    "WrongPrimitive": {SIGNATURE, NO_KEY},
    "AlgIsNone": {NO_KEY},
    "JsonSerialization": {SYMMETRIC},
}
"""Flag of the published tokens → why we refuse them. (What is modified in `ModifiedPadding` is that of RSA.)"""
BY_KEY = {"rejectWrongUse": "its use is not sig", "rejectWrongKeyOps": "its key_ops do not include verify"}


def why_not(key: dict[str, Any], text: str, algorithm: str | None = None) -> str:
    """Return why a signature does not count; the vectors' payloads are no claims, so they are replaced first."""
    head, dot, rest = text.partition(".")
    payload, other_dot, signature = rest.partition(".")
    try:
        keys = KeySet(key_set(key), EVERY)
        decode_base64url(payload.encode())
        parsed = parse(f"{head}{dot}e30{other_dot}{signature}")
    except (KeySetError, TokenError, ValueError) as error:
        return str(error)
    verify = keys.verifier(parsed.key_id, parsed.algorithm)
    if verify is None or algorithm not in (None, parsed.algorithm):
        return NO_KEY
    return "" if verify(parsed.signature, f"{head}.{payload}".encode()) else SIGNATURE


def test_s23_published_attacks_each_for_its_reason() -> None:
    refused: dict[str, int] = {}
    accepted = 0
    for group in conformance("jws-wycheproof.json")["groups"]:
        symmetric = group["key"]["kty"] == "oct"
        for case in group["tests"]:
            if case["tcId"] in CONTRADICTORY:
                continue
            why = why_not(group["key"], case["jws"])
            valid = case["result"] == "valid" and not symmetric and case["tcId"] not in DOUBTFUL
            assert (why == "") is valid, case
            accepted += valid
            for flag in case["flags"]:
                assert any(reason in why for reason in REASONS[flag]), (case, why)
                refused[flag] = refused.get(flag, 0) + 1
            assert BY_KEY.get(case["comment"], why) in why
            if not valid and not case["flags"]:
                places = (SYMMETRIC, NO_KEY, SIGNATURE, NOT_CANONICAL, NOT_THREE, "its use", "its key_ops", "its alg")
                assert any(place in why for place in places), (case, why)
    assert accepted == 25
    assert refused == {
        "ModifiedPadding": 170, "ModifiedSignature": 36, "WrongPrimitive": 9, "AlgIsNone": 2, "JsonSerialization": 1,
    }  # fmt: skip


def test_s23_published_spellings_are_refused_before_any_key_is_looked_at() -> None:
    """They are signed with a shared secret, which no set may have; their form alone is enough."""
    spelled = [
        case["jws"]
        for group in conformance("jws-wycheproof.json")["groups"]
        for case in group["tests"]
        if 360 <= case["tcId"] <= 375 and case["result"] == "invalid" and case["tcId"] not in CONTRADICTORY
    ]
    assert len(spelled) == 11
    for text in spelled:
        with pytest.raises(TokenError):
            parse(text)


def test_published_examples() -> None:
    """RFC 7520 chapter 4 and RFC 8037: what has a compact form; with a shared secret (4.4, 4.5) it is refused."""
    found = {}
    for case in conformance("jose-cookbook.json")["jws"]:
        given = case["input"]["key"]
        if "compact" in case["output"] and not isinstance(given, list):
            key = {name: value for name, value in given.items() if name not in PRIVATE}
            found[case["name"]] = why_not(key, case["output"]["compact"], case["input"]["alg"])
    good = ["curve25519/jws", "jws/4_1.rsa_v15_signature", "jws/4_2.rsa-pss_signature", "jws/4_3.ecdsa_signature"]
    secret = ["jws/4_4.hmac-sha2_integrity_protection", "jws/4_5.signature_with_detached_content"]
    assert found == dict.fromkeys(good, "") | dict.fromkeys(secret, f"keys[0] is {SYMMETRIC}")


def test_published_payloads_that_are_not_encoded_are_refused() -> None:
    """RFC 7797: `b64: false` has to be critical, and no extension is understood."""
    for case in conformance("jose-cookbook.json")["b64_false"]:
        with pytest.raises(TokenError, match="an extension that is not supported"):
            parse(f"{case['output']['json_flat']['protected']}.e30.AA")
        if "compact" in case["output"]:
            with pytest.raises(TokenError):
                parse(case["output"]["compact"])
