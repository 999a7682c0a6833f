"""Every kind that says how its word is checked, as time goes by: as if it were asked each time."""

from pathlib import Path
from typing import Any

import pytest

from tests.authentication.parts import NOW, Clock, token
from tests.envoy.checks import check
from tests.server.test_recurring import SETTINGS, Side, subclasses
from ztag_extauthz.admission.interface import Gate
from ztag_extauthz.authentication.api_key import ApiKeySettings
from ztag_extauthz.authentication.interface import Authenticator
from ztag_extauthz.authentication.key_records import make
from ztag_extauthz.authentication.key_store import open_store
from ztag_extauthz.authorization.interface import Authorizer

JWT = SETTINGS["authentication"][0]
ANYBODY = {"kind": "rego", "policies": ["p.rego", "data.json"], "decision": "p/anybody"}
NOBODY = {**ANYBODY, "decision": "p/nobody", "dry_run": True}
PLAIN: dict[str, Any] = {"admission": {}, "authorization": [ANYBODY]}
BEARER = f"Bearer {token('EdDSA', auth_time=int(NOW), exp=int(NOW) + 300)}"
KINDS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "well_formed, jwt, rego": ({}, {"authorization": BEARER}),
    "api_key": ({"authentication": [{"kind": "api_key", "secret_file": "secret", "file": "keys"}]}, {"x-api-key": ""}),
    "anonymous": ({"authentication": [JWT, {"kind": "anonymous"}]}, {}),
    "mesh": ({"authentication": [{"kind": "mesh", "trust_domains": ["mesh.example"]}]}, {}),
    "one place": ({"authentication": [{**JWT, "cookie": "t"}, {"kind": "anonymous"}]}, {"cookie": f"t={BEARER[7:]}"}),
    "cookies": (
        {"authentication": [{**JWT, "cookie": "t"}], "response": {"remove_credentials": True}},
        {"cookie": f"t={BEARER[7:]}; theme=dark"},
    ),
    "address_rules": ({"admission": {"address_rules": {"deny": ["10.9.0.0/16"]}}}, {"authorization": BEARER}),
    "rate_limit": ({"admission": SETTINGS["admission"]}, {"authorization": BEARER}),
    "resource_metadata": ({"protected_resources": [{"resource": "https://shop.example"}]}, {"authorization": BEARER}),
    "quota": ({"authorization": [SETTINGS["authorization"][0], ANYBODY]}, {"authorization": BEARER}),
    "step_up": (
        {"authorization": [{"kind": "step_up", "rules": [{"paths": ["/"], "max_age": 100}]}, ANYBODY]},
        {"authorization": BEARER},
    ),
    "risk": ({"authorization": [{"kind": "risk"}, ANYBODY]}, {"authorization": BEARER}),
    "profiles": (
        {"authorization": [{"kind": "profiles", "profiles": [{"name": "a", "policy": ANYBODY}], "default": "a"}]},
        {"authorization": BEARER},
    ),
    "dry run": ({"authorization": [NOBODY]}, {"authorization": BEARER}),
    "refusal": ({"authorization": [{**NOBODY, "dry_run": False}]}, {"authorization": BEARER}),
}
SILENT = {"cookies"}
"""Of which each request is seen."""


def made(folder: Path, clock: Clock, name: str, recurring: int, keys: list[Any]) -> Side:
    folder.mkdir()
    (folder / "secret").write_text("s" * 48)
    store = open_store(ApiKeySettings.model_validate(KINDS["api_key"][0]["authentication"][0]), folder)
    if not keys:
        keys.extend(make(store.secret, "shop", (), NOW, 250))
    store.add(keys[1], NOW)
    side = Side(folder, clock, recurring, {**PLAIN, **KINDS[name][0]})
    side.hear()
    return side


def asked(name: str, number: int, shown: str) -> bytes:
    headers = {header: value or shown for header, value in KINDS[name][1].items()}
    message = check("/orders", headers={**headers, "x-request-id": str(number)})
    message.attributes.request.http.id = str(number)
    message.attributes.source.principal = "spiffe://mesh.example/ns/a/sa/b"
    return bytes(message.SerializeToString())


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_says_as_it_would_if_it_were_asked_each_time(name: str, tmp_path: Path) -> None:
    clock = Clock()
    keys: list[Any] = []
    sides = [made(tmp_path / str(recurring), clock, name, recurring, keys) for recurring in (1000, 0)]
    number = 1
    for step in (0.0, 1.0, 60.0, 60.0, 200.0):
        clock.now += step
        for side in sides:
            side.hear()
        for _ in range(6):
            number += 1
            one, other = (side.ask(asked(name, number, keys[0])) for side in sides)
            assert one == other
    assert (sides[0].hits() > 0) == (name not in SILENT)
    assert sides[0].audit.lines == sides[1].audit.lines
    assert sides[0].counted() == sides[1].counted()


def test_every_kind_that_says_how_its_word_is_checked_is_among_them() -> None:
    said = {
        kind.kind
        for base in (Gate, Authenticator, Authorizer)
        for kind in subclasses(base)
        if kind.__module__.startswith("ztag_extauthz.") and kind.again is not base.again and hasattr(kind, "kind")
    }
    covered = {name for names in KINDS for name in names.split(", ")}
    tokens = {"jwt_svid", "kubernetes", "introspection", "assertion"}  # which are read as `jwt` is
    assert said <= covered | tokens | {"one_place"}
