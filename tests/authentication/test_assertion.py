import asyncio
from pathlib import Path
from typing import Any

import jwt as pyjwt
import pytest

from tests.assertion.parts import ANN, ISSUER, signer, to, write_key
from tests.authentication.parts import FOREVER, Clock, resources
from ztag_extauthz.assertion.keys import key_set, read_keys
from ztag_extauthz.authentication.assertion import AssertionSettings
from ztag_extauthz.model import Deny, Identity, Request

ORDERS = "spiffe://mesh.example/ns/shop/sa/orders"
BILLING = "spiffe://mesh.example/ns/shop/sa/billing"


class Rig:
    def __init__(self, folder: Path) -> None:
        write_key(folder / "key.pem")
        (folder / "keys.json").write_bytes(key_set(read_keys(folder, ("key.pem",))))
        self.clock = Clock()
        self.signer = signer(folder, self.clock)
        callers = {ORDERS: "orders", BILLING: "billing"}
        settings = {"kind": "assertion", "issuer": ISSUER, "jwks": {"file": "keys.json"}, "callers": callers}
        self.kind = AssertionSettings.model_validate(settings).build(resources(folder, self.clock))

    def ask(self, asked: Request) -> Identity | Deny | None:
        return asyncio.run(self.kind.authenticate(asked, FOREVER))

    def made(self, upstream: str, identity: Identity = ANN) -> str:
        return self.signer.assertion(to(upstream), identity, "1")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def actors(identity: Identity) -> list[str]:
    found, actor = [], identity.claims.get("act")
    while actor:
        found.append(actor["sub"])
        actor = actor.get("act")
    return found


def test_a_service_calls_for_its_caller(rig: Rig) -> None:
    found = rig.ask(to("", ORDERS, x_ztag_assertion=rig.made("orders")))
    assert isinstance(found, Identity)
    assert (found.subject, found.issuer, found.kind) == ("ann", "https://issuer.example", "assertion")
    assert (found.scopes, found.roles) == (("read", "write"), ("editor",))
    assert actors(found) == [ORDERS]


def test_the_chain_is_told_to_whoever_comes_next(rig: Rig) -> None:
    second = rig.ask(to("", ORDERS, x_ztag_assertion=rig.made("orders")))
    assert isinstance(second, Identity)
    for_billing = rig.made("billing", second)
    read: dict[str, Any] = pyjwt.decode(for_billing, options={"verify_signature": False})
    assert (read["sub"], read["act"]) == ("ann", {"sub": ORDERS})
    third = rig.ask(to("", BILLING, x_ztag_assertion=for_billing))
    assert isinstance(third, Identity)
    assert actors(third) == [BILLING, ORDERS]


def test_s22_an_assertion_for_another_service_gains_nothing(rig: Rig) -> None:
    found = rig.ask(to("", BILLING, x_ztag_assertion=rig.made("orders")))
    assert isinstance(found, Deny)
    assert "another service" in found.detail


@pytest.mark.parametrize("principal", ["", "spiffe://mesh.example/ns/shop/sa/thief", "CN=orders"])
def test_s16_from_anybody_else_it_is_no_credential(rig: Rig, principal: str) -> None:
    assert rig.ask(to("", principal, x_ztag_assertion=rig.made("orders"))) is None


def test_what_is_forged_or_old_is_refused(rig: Rig) -> None:
    good = rig.made("orders")
    for forged in (good[:-4] + "AAAA", "x", ""):
        assert isinstance(rig.ask(to("", ORDERS, x_ztag_assertion=forged)), Deny)
    assert isinstance(rig.ask(to("", ORDERS, x_ztag_assertion=good)), Identity)
    rig.clock.now += 63
    assert isinstance(rig.ask(to("", ORDERS, x_ztag_assertion=good)), Deny)


def test_a_chain_ends_somewhere(rig: Rig) -> None:
    actor: dict[str, Any] = {"sub": "x"}
    for _ in range(7):
        actor = {"sub": "x", "act": actor}
    long = Identity("ann", "idp", "assertion", {"act": actor})
    assert isinstance(rig.ask(to("", ORDERS, x_ztag_assertion=rig.made("orders", long))), Deny)
