import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.authentication.parts import NOW, Clock, KeyServer, encode, jwk, key_set, resources
from tests.revocation.parts import ANN, CAEP, IDP, REMEMBER, SECRET, US, claims, receiver, settings, signed, token
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.revocation.entries import Revocation
from ztag_extauthz.revocation.receiver import Receiver, Refusal

ENTRY = Revocation("subject", IDP, "ann", NOW - 5, NOW + REMEMBER)


def receive(one: Receiver, text: str, authorization: str = "") -> tuple[Revocation, ...] | Refusal:
    return asyncio.run(one.receive(text, authorization))


def test_an_event_revokes_what_was_issued_until_it_happened(tmp_path: Path) -> None:
    assert receive(receiver(tmp_path), token()) == (ENTRY,)


def test_a_token_that_is_shown_again_says_nothing_new(tmp_path: Path) -> None:
    clock = Clock()
    one = receiver(tmp_path, clock)
    text = token()
    first = receive(one, text)
    clock.now += 3600
    assert receive(one, text) == first
    clock.now += REMEMBER
    assert receive(one, text) == ()


@pytest.mark.parametrize("stated", [None, "x", True, -1, int(NOW) * 1000, int(NOW) + 30])
def test_the_moment_is_never_later_than_the_token(tmp_path: Path, stated: Any) -> None:
    found = receive(receiver(tmp_path), token(payload={"event_timestamp": stated}))
    assert isinstance(found, tuple)
    assert found[0].before == NOW


def test_what_only_tells_is_taken_and_means_nothing(tmp_path: Path) -> None:
    assert receive(receiver(tmp_path), token(event=f"{CAEP}session-established")) == ()
    assert receive(receiver(tmp_path, events=["account-disabled"]), token()) == ()


def unsigned() -> str:
    head = encode(b'{"alg":"none","typ":"secevent+jwt"}')
    return f"{head}.{token().split('.')[1]}."


REFUSED: dict[str, tuple[str, str]] = {
    "nothing": ("", "invalid_request"),
    "no token": ("x", "invalid_request"),
    "not ASCII": ("é.é.é", "invalid_request"),
    "another type": (signed(claims(), header={"typ": "JWT"}), "invalid_request"),
    "an access token's type": (signed(claims(), header={"typ": "at+jwt"}), "invalid_request"),
    "a critical extension": (signed(claims(), header={"crit": ["x"], "x": 1}), "invalid_request"),
    "exp": (token(exp=int(NOW) + 60), "invalid_request"),
    "sub": (token(sub="ann"), "invalid_request"),
    "no iat": (token(iat=None), "invalid_request"),
    "iat in the future": (token(iat=int(NOW) + 120), "invalid_request"),
    "iat as text": (token(iat=str(int(NOW))), "invalid_request"),
    "no jti": (token(jti=None), "invalid_request"),
    "no events": (token(events=None), "invalid_request"),
    "empty events": (token(events={}), "invalid_request"),
    "events as list": (token(events=[f"{CAEP}session-revoked"]), "invalid_request"),
    "nobody": (token(sub_id=None), "invalid_request"),
    "another audience": (token(aud="https://other.example"), "invalid_audience"),
    "no audience": (token(aud=None), "invalid_audience"),
    "audience within": (token(aud=[[US]]), "invalid_audience"),
    "another issuer": (token(iss="https://evil.example"), "invalid_issuer"),
    "no issuer": (token(iss=None), "invalid_issuer"),
    "issuer as list": (token(iss=[IDP]), "invalid_issuer"),
    "another key": (signed(claims(), "-attacker"), "invalid_key"),
    "another kid": (signed(claims(), header={"kid": "other"}), "invalid_key"),
    "nested deeply": (f"{token().split('.')[0]}.{encode(b'[' * 5000 + b']' * 5000)}.AA", "invalid_request"),
    "unsigned": (unsigned(), "invalid_key"),
    "somebody else's subject": (token(sub_id={**ANN, "iss": "https://other.example"}), "access_denied"),
    "a workload": (token(sub_id={"format": "uri", "uri": "spiffe://mesh.example/a"}), "access_denied"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_right_is_refused_with_its_code(tmp_path: Path, name: str) -> None:
    text, code = REFUSED[name]
    found = receive(receiver(tmp_path), text)
    assert isinstance(found, Refusal)
    assert found.code == code
    assert len(text) < 20 or text[:20] not in found.why


def test_a_transmitter_speaks_for_the_issuers_in_the_settings(tmp_path: Path) -> None:
    other = "https://other.example"
    one = receiver(tmp_path, speaks_for=[other, "spiffe://mesh.example"])
    found = receive(one, token(sub_id={"format": "opaque", "id": "7"}))
    assert isinstance(found, tuple)
    assert {entry.issuer for entry in found} == {other}
    assert isinstance(receive(one, token(sub_id={"format": "uri", "uri": "spiffe://mesh.example/a"})), tuple)
    assert isinstance(receive(one, token()), Refusal)


@pytest.mark.parametrize("where", [{"authorization": f"Bearer {SECRET}"}, {"authorization_file": "shown"}])
def test_a_transmitter_shows_its_secret_where_it_has_one(tmp_path: Path, where: dict[str, Any]) -> None:
    (tmp_path / "shown").write_text(f"Bearer {SECRET}\n")
    one = receiver(tmp_path, **where)
    for shown in ("", "Bearer", f"bearer {SECRET}", f"Bearer {SECRET}x", "é"):
        found = receive(one, token(), shown)
        assert isinstance(found, Refusal)
        assert found.code == "authentication_failed"
    assert receive(one, token(), f"Bearer {SECRET}") == (ENTRY,)


def test_keys_are_discovered_from_the_transmitters_metadata(tmp_path: Path, key_server: KeyServer) -> None:
    issuer = f"{key_server.url}/tenant"
    document = f'{{"issuer":"{issuer}","jwks_uri":"{key_server.url}/keys"}}'
    key_server.serve("/.well-known/ssf-configuration/tenant", document.encode())
    key_server.serve("/keys", key_set(jwk("ES256")))
    one = settings(issuer=issuer, jwks={"discovery": "ssf"}).receiver(resources(tmp_path))

    async def main() -> tuple[Revocation, ...] | Refusal:
        await one.start()
        try:
            return await one.receive(token(iss=issuer, sub_id={"format": "opaque", "id": "ann"}), "")
        finally:
            await one.close()

    found = asyncio.run(main())
    assert isinstance(found, tuple), found
    assert {entry.kind for entry in found} == {"subject", "session"}


def test_no_address_that_a_token_names_is_asked(tmp_path: Path, key_server: KeyServer) -> None:
    key_server.serve("/mine", key_set(jwk("ES256", "-attacker", kid="mine")))
    text = signed(
        claims(), "-attacker", {"kid": "mine", "jku": f"{key_server.url}/mine", "jwk": jwk("ES256", "-attacker")}
    )
    assert isinstance(receive(receiver(tmp_path), text), Refusal)
    assert key_server.asked == []


def test_a_file_of_keys_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"transmitters\[0\].jwks.file"):
        settings().receiver(resources(tmp_path))


@pytest.mark.parametrize(
    "changes",
    [{"authorization": "short"}, {"issuer": "idp", "jwks": {}}, {"events": ["made-up"]}, {"algorithms": ["HS256"]}],
)
def test_settings_that_cannot_be_meant_are_mistakes(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**changes)
