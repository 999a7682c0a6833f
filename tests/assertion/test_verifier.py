import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt as pyjwt
import pytest

from tests.assertion.parts import ANN, ISSUER, signer, to, write_key
from tests.authentication.parts import NOW, Clock, KeyServer, encode, token
from ztag_extauthz.assertion.keys import key_set, read_keys
from ztag_extauthz.assertion.verifier import AssertionRefused, Caller, Verifier


@pytest.fixture
def keys() -> Iterator[KeyServer]:
    with KeyServer().running() as server:
        yield server


class Rig:
    def __init__(self, folder: Path, server: KeyServer) -> None:
        self.folder = folder
        self.server = server
        self.clock = Clock()
        write_key(folder / "key.pem")
        self.publish("key.pem")
        self.orders = self.verifier("orders")

    def publish(self, *names: str) -> None:
        self.server.serve("/.well-known/jwks.json", key_set(read_keys(self.folder, names)))

    def verifier(self, audience: str) -> Verifier:
        address = f"{self.server.url}/.well-known/jwks.json"
        return Verifier(ISSUER, audience, address, clock=self.clock)

    def assertion(self, upstream: str = "orders", **changes: Any) -> str:
        return signer(self.folder, self.clock, **changes).assertion(to(upstream), ANN, "decision-1")


@pytest.fixture
def rig(tmp_path: Path, keys: KeyServer) -> Rig:
    return Rig(tmp_path, keys)


def test_says_who_asked(rig: Rig) -> None:
    assert rig.orders.verify(rig.assertion()) == Caller(
        "ann", "https://issuer.example", "jwt", ("read", "write"), ("editor",), (), (), "decision-1", int(NOW) + 60
    )


def test_keys_are_rotated_without_a_gap(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ztag_extauthz.assertion.verifier.COOL_DOWN", 0.0)
    before = rig.assertion()
    rig.orders.verify(before)
    write_key(rig.folder / "next.pem", "EdDSA")
    rig.publish("key.pem", "next.pem")
    rig.orders.verify(before)
    rig.publish("next.pem", "key.pem")
    after = rig.assertion(keys=["next.pem", "key.pem"])
    rig.orders.verify(after)
    rig.orders.verify(before)
    rig.publish("next.pem")
    rig.orders.verify(rig.assertion(keys=["next.pem"]))
    assert len(rig.server.asked) == 2


def test_s22_what_was_made_for_another_is_refused(rig: Rig) -> None:
    with pytest.raises(AssertionRefused, match="another audience"):
        rig.verifier("billing").verify(rig.assertion("orders"))


def changed(text: str, **claims: Any) -> str:
    head, _, signature = text.split(".")
    body = pyjwt.decode(text, options={"verify_signature": False}) | claims
    return f"{head}.{encode(json.dumps(body).encode())}.{signature}"


def test_s23_what_is_forged_is_refused(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "thief").mkdir()
    write_key(tmp_path / "thief" / "key.pem")
    stolen = signer(tmp_path / "thief", rig.clock).assertion(to("orders"), ANN, "1")
    good = rig.assertion()
    for forged in (
        "",
        "x",
        good[:-4] + "AAAA",
        changed(good, sub="root"),
        changed(good, aud="orders", exp=int(NOW) + 500),
        stolen,
        token(iss=ISSUER, aud="orders"),
        rig.assertion(issuer="https://other.example"),
        f"{encode(json.dumps({'alg': 'none', 'typ': 'ztag+jwt'}).encode())}.{good.split('.')[1]}.",
        good + " ",
        "\u00e4" * 10,
        "y" * 9000,
    ):
        with pytest.raises(AssertionRefused):
            rig.orders.verify(forged)


def test_what_is_old_is_refused(rig: Rig) -> None:
    good = rig.assertion()
    rig.clock.now += 62
    with pytest.raises(AssertionRefused, match="expired"):
        rig.orders.verify(good)


def test_keys_come_over_https_or_loopback() -> None:
    with pytest.raises(ValueError, match="not https"):
        Verifier(ISSUER, "orders", "http://ztag.example/.well-known/jwks.json")


def test_s25_unknown_keys_fetch_once_in_a_cool_down(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "thief").mkdir()
    rig.orders.verify(rig.assertion())
    for _ in range(20):
        write_key(tmp_path / "thief" / "key.pem")
        with pytest.raises(AssertionRefused):
            rig.orders.verify(signer(tmp_path / "thief", rig.clock).assertion(to("orders"), ANN, "1"))
    assert len(rig.server.asked) == 1
