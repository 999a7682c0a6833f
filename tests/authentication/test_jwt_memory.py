import asyncio
import time
from pathlib import Path

import pytest

from tests.authentication.parts import (
    FOREVER,
    ISSUER,
    NOW,
    KeyServer,
    jwk,
    key_set,
    request,
    token,
)
from tests.authentication.rig import Rig
from ztag_extauthz.errors import DeadlineError, UnavailableError
from ztag_extauthz.model import Deny, Identity

# the memory


def test_a_token_is_verified_once(rig: Rig) -> None:
    text = token()
    first = rig.identity(text)
    assert all(rig.identity(text) is first for _ in range(5))
    assert (rig.cached("miss"), rig.cached("hit")) == (1, 5)


def test_refusals_are_not_remembered(rig: Rig) -> None:
    text = token(nbf=int(NOW) + 60)
    assert "not valid yet" in rig.refusal(text).detail
    rig.clock.now += 60
    rig.identity(text)


def test_never_4_a_remembered_token_is_refused_after_its_expiry(rig: Rig) -> None:
    rig.jwt = rig.build(clock_skew=0)
    text = token()
    rig.identity(text)
    rig.clock.now = NOW + 599.999
    rig.identity(text)
    assert rig.cached("hit") == 1
    for later in (600, 600.001, 1e6):
        rig.clock.now = NOW + later
        assert "expired" in rig.refusal(text).detail


def test_never_4_the_memory_adds_nothing_to_the_clock_skew(rig: Rig) -> None:
    text = token()
    rig.identity(text)
    rig.clock.now = NOW + 604.9
    rig.identity(text)
    rig.clock.now = NOW + 605
    rig.refusal(text)


def test_never_4_a_remembered_token_is_refused_after_a_rotation_of_keys(tmp_path: Path, key_server: KeyServer) -> None:
    key_server.serve("/keys", key_set(jwk("RS256")))
    rig = Rig(tmp_path, jwks={"url": f"{key_server.url}/keys"})
    text = token()

    async def main() -> None:
        assert isinstance(await rig.jwt.authenticate(request(f"Bearer {text}"), FOREVER), Identity)
        key_server.serve("/keys", key_set(jwk("RS256", "-next")))
        rig.clock.now += 60
        new = token("RS256", "-next")
        assert isinstance(await rig.jwt.authenticate(request(f"Bearer {new}"), FOREVER), Identity)
        assert isinstance(await rig.jwt.authenticate(request(f"Bearer {text}"), FOREVER), Deny)

    asyncio.run(main())
    assert rig.cached("hit") == 0


def test_never_4_a_remembered_token_is_refused_when_its_keys_are_too_old(tmp_path: Path, key_server: KeyServer) -> None:
    key_server.serve("/keys", key_set(jwk("RS256")))
    rig = Rig(tmp_path, jwks={"url": f"{key_server.url}/keys", "max_stale": 100})
    text = token()

    async def main() -> None:
        assert isinstance(await rig.jwt.authenticate(request(f"Bearer {text}"), FOREVER), Identity)
        key_server.serve("/keys", b"", status=500)
        rig.clock.now += 101
        (ready,) = rig.jwt.readiness()
        assert not ready.ready
        with pytest.raises(UnavailableError):
            await rig.jwt.authenticate(request(f"Bearer {text}"), FOREVER)

    asyncio.run(main())


def test_never_4_tokens_that_differ_anywhere_are_different_tokens(rig: Rig) -> None:
    alice, bob = token(sub="alice"), token(sub="bob")
    assert [rig.identity(text).subject for text in (alice, bob, alice, bob)] == ["alice", "bob", "alice", "bob"]
    head, payload, signature = alice.split(".")
    rig.refusal(f"{head}.{payload}.{signature[:-4]}AAAA")
    rig.refusal(".".join([*bob.split(".")[:2], signature]))


def test_the_memory_is_bounded(rig: Rig) -> None:
    rig.jwt = rig.build(max_remembered=10)
    for number in range(50):
        rig.identity(token("ES256", sub=str(number)))
    assert len(rig.jwt.memory) <= 10


# S25: keys that do not come


def test_s25_a_token_of_a_new_key_is_accepted_after_one_fetch(tmp_path: Path, key_server: KeyServer) -> None:
    key_server.serve("/keys", key_set(jwk("RS256")))
    rig = Rig(tmp_path, jwks={"url": f"{key_server.url}/keys"})

    async def main() -> None:
        await rig.jwt.authenticate(request(f"Bearer {token()}"), FOREVER)
        key_server.serve("/keys", key_set(jwk("RS256"), jwk("RS256", "-next")))
        rig.clock.now += 60
        flood = (token("ES256", header={"kid": f"unknown-{number}"}) for number in range(20))
        asked = [request(f"Bearer {text}") for text in (*flood, token("RS256", "-next"))]
        *refused, accepted = await asyncio.gather(*(rig.jwt.authenticate(entry, FOREVER) for entry in asked))
        assert all(isinstance(answer, Deny) for answer in refused)
        assert isinstance(accepted, Identity)

    asyncio.run(main())
    assert key_server.asked == ["/keys", "/keys"]


def test_s25_during_an_outage_stale_keys_serve_and_unknown_keys_are_refused(
    tmp_path: Path, key_server: KeyServer
) -> None:
    key_server.serve("/keys", key_set(jwk("RS256")))
    rig = Rig(tmp_path, jwks={"url": f"{key_server.url}/keys"})

    async def main() -> None:
        await rig.jwt.authenticate(request(f"Bearer {token()}"), FOREVER)
        key_server.serve("/keys", b"", status=503)
        rig.clock.now += 60
        unknown = await rig.jwt.authenticate(request(f"Bearer {token(header={'kid': 'new'})}"), FOREVER)
        assert isinstance(unknown, Deny)  # an error would be an allow where Envoy lets errors through
        assert isinstance(await rig.jwt.authenticate(request(f"Bearer {token(sub='bob')}"), FOREVER), Identity)

    asyncio.run(main())
    assert len(key_server.asked) == 2


def test_s25_without_any_keys_it_is_an_error_and_no_answer(tmp_path: Path, key_server: KeyServer) -> None:
    rig = Rig(tmp_path, jwks={"url": f"{key_server.url}/keys"})
    with pytest.raises(UnavailableError, match=f"keys of {ISSUER}"):
        rig.answer(token())
    key_server.answers["/keys"] = lambda _: time.sleep(2)
    rig = Rig(tmp_path, jwks={"url": f"{key_server.url}/keys"})
    with pytest.raises(DeadlineError):
        rig.answer(token(), time.monotonic() + 0.05)


def test_s25_claims_are_looked_at_before_keys_are_fetched(tmp_path: Path, key_server: KeyServer) -> None:
    rig = Rig(tmp_path, jwks={"url": f"{key_server.url}/keys"})
    for bad in (token(exp=1), token(aud="x"), token(iss="x"), token("ES512", header={"typ": "x"}), "a.b.c"):
        rig.refusal(bad)
    assert key_server.asked == []


def test_ready_when_the_keys_are_there(tmp_path: Path, key_server: KeyServer) -> None:
    key_server.serve("/keys", key_set(jwk("RS256")))
    rig = Rig(tmp_path, jwks={"url": f"{key_server.url}/keys"})

    async def main() -> None:
        assert [entry.ready for entry in rig.jwt.readiness()] == [False]
        await rig.jwt.start()
        async with asyncio.timeout(10):
            await rig.jwt.authenticate(request(f"Bearer {token()}"), FOREVER)
        assert [entry.ready for entry in rig.jwt.readiness()] == [True]
        await rig.jwt.close()

    asyncio.run(main())
