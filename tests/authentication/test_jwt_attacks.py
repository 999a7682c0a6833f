import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.authentication.parts import (
    FOREVER,
    NOW,
    KeyServer,
    claims,
    encode,
    jwk,
    key_set,
    private_key,
    request,
    resources,
    sign,
    token,
)
from tests.authentication.rig import Rig
from ztag_extauthz.authentication.anonymous import AnonymousSettings
from ztag_extauthz.model import Deny, Reason

PAYLOAD = json.dumps(claims()).encode()


# S6: no, empty and several tokens


def test_s06_no_spelling_of_a_missing_token_is_let_through(rig: Rig) -> None:
    nobody = AnonymousSettings(kind="anonymous").build(resources(rig.folder))
    for value in (
        "",
        "Bearer",
        "Bearer ",
        "bearer",
        "Bearer  ",
        "Basic x",
        "x",
        "Bearer a",
        "Bearer\ta.b.c",
        "Negotiate",
    ):
        asked = request(value)
        answer = rig.answer(asked)
        if answer is None:
            answer = asyncio.run(nobody.authenticate(asked, FOREVER))
        assert answer is None or isinstance(answer, Deny), value


def test_s06_several_tokens_are_a_400(rig: Rig) -> None:
    good = token()
    for asked in (
        request(f"Bearer {good},Bearer {good}"),
        request(f"Bearer {good}, Basic x"),
        replace(request(f"Bearer {good}"), repeated=frozenset({"authorization"})),
        request(f"Bearer {good}", path=f"/?access_token={good}"),
    ):
        answer = rig.answer(asked)
        assert isinstance(answer, Deny)
        assert answer.reason is Reason.MALFORMED_REQUEST


# S23: forged and misleading tokens


def unsigned(algorithm: str) -> str:
    header = json.dumps({"alg": algorithm, "typ": "at+jwt", "kid": "RS256"}).encode()
    return f"{encode(header)}.{encode(PAYLOAD)}."


def rs256_as_hs256() -> str:
    """Sign with the public key as if it were a shared secret."""
    public = private_key("RS256").public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    header = json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": "RS256"}).encode()
    signed = f"{encode(header)}.{encode(PAYLOAD)}"
    maker = pyjwt.get_algorithm_by_name("HS256")
    return f"{signed}.{encode(maker.sign(signed.encode(), secret))}"


def with_header(**header: Any) -> str:
    fields = {"alg": "RS256", "kid": "RS256", "typ": "at+jwt"} | header
    return sign(json.dumps(fields).encode(), PAYLOAD, "RS256", "-attacker")


FORGED: list[Callable[[], str]] = [
    *(lambda name=name: unsigned(name) for name in ("none", "None", "NONE", "nOnE", "", "RS256", "HS256")),
    rs256_as_hs256,
    lambda: with_header(jwk=jwk("RS256", "-attacker")),
    lambda: with_header(kid="RS256-attacker", jwk=jwk("RS256", "-attacker")),
    lambda: with_header(kid=None, jwk=jwk("RS256", "-attacker")),
    lambda: with_header(jku="http://127.0.0.1:1/keys"),
    lambda: with_header(x5u="http://127.0.0.1:1/certificate"),
    lambda: with_header(x5c=["MIIB"]),
    lambda: with_header(kid="/dev/null"),
    lambda: with_header(alg="PBES2-HS256+A128KW", p2c=2**31 - 1, p2s="AAAA"),
    lambda: with_header(alg="RS256 "),
    lambda: with_header(alg="rs256"),
    lambda: token(header={"crit": ["exp"]}),
    lambda: token(header={"b64": False, "crit": ["b64"]}),
    lambda: token(exp=str(int(NOW) + 600)),
    lambda: token(exp=(int(NOW) + 600) * 1000),
    lambda: token(exp=True),
    lambda: token(nbf=str(int(NOW))),
    lambda: sign(b'{"alg":"RS256","alg":"none","kid":"RS256"}', PAYLOAD),
    lambda: sign(b'{"alg":"RS256","kid":"RS256"}', PAYLOAD[:-1] + b',"sub":"root"}'),
    lambda: sign(b'{"alg":"RS256","kid":"RS256"}', PAYLOAD.replace(str(int(NOW) + 600).encode(), b"NaN")),
    lambda: sign(b'{"alg":"RS256","kid":"RS256"}', PAYLOAD.replace(str(int(NOW) + 600).encode(), b"1e400")),
    lambda: sign(b'{"alg":"RS256","kid":"RS256"}', PAYLOAD[:-1] + b',"x":' + b"[" * 2000 + b"]" * 2000 + b"}"),
    lambda: token(x="y" * 9000),
    lambda: token() + "=",
    lambda: token().replace(".", "..", 1),
    lambda: ".".join([*token().split(".")[:2], ""]),
    lambda: token()[:-4] + "AAAA",
]


@pytest.mark.parametrize("forge", FORGED)
def test_s23_is_refused(rig: Rig, forge: Callable[[], str]) -> None:
    rig.refusal(forge())
    assert len(rig.jwt.memory) == 0


def test_never_7_no_address_that_a_token_names_is_asked(tmp_path: Path, key_server: KeyServer) -> None:
    key_server.serve("/mine", key_set(jwk("RS256", "-attacker", kid="RS256")))
    rig = Rig(tmp_path)
    address = f"{key_server.url}/mine"
    for header in ({"jku": address}, {"x5u": address}, {"kid": address}, {"jku": address, "kid": "new"}):
        rig.refusal(with_header(**header))
    rig.refusal(token(iss=key_server.url))
    assert key_server.asked == []


def test_never_7_the_settings_choose_the_algorithm(rig: Rig) -> None:
    rig.jwt = rig.build(algorithms=["ES256"])
    rig.identity(token("ES256"))
    for algorithm in ("RS256", "PS256", "ES384", "EdDSA"):
        assert "algorithm" in rig.refusal(token(algorithm)).detail


@given(st.integers(0), st.sampled_from("ABab01-_=+/. ,"), st.sampled_from(["replace", "insert", "delete"]))
def test_s23_any_change_of_a_good_token_is_refused(
    tmp_path_factory: pytest.TempPathFactory, place: int, letter: str, change: str
) -> None:
    rig = Rig(tmp_path_factory.getbasetemp())
    good = token("ES256")
    place %= len(good)
    rest = good[place:] if change == "insert" else good[place + 1 :]
    changed = good[:place] + ("" if change == "delete" else letter) + rest
    if changed.strip(" ") != good:
        assert isinstance(rig.answer(changed), Deny)


@given(st.text(max_size=300) | st.lists(st.text(max_size=60), max_size=4).map(".".join))
def test_s23_whatever_comes_is_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    rig = Rig(tmp_path_factory.getbasetemp())
    assert isinstance(rig.answer(f"x{text}"), Deny)
