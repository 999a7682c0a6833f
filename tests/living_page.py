"""The parts of docs/living-with-policies.md that are made of the code. `python -m tests.living_page` writes them.

Also the recording that its examples replay: requests of a few people, as `kind: recording` keeps them.
"""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from tests.rego_page import ROOT, block, rewritten
from ztag_extauthz.authorization.rego import RegoSettings
from ztag_extauthz.cli.common import resources_for
from ztag_extauthz.cli.recorded import ask
from ztag_extauthz.envoy import decode
from ztag_extauthz.envoy.protojson import check_request
from ztag_extauthz.model import Context, Decision, Identity, Stage, Timings
from ztag_extauthz.reporting.recorded import Kept, make, to_line

PAGE: Final = ROOT / "docs/living-with-policies.md"
RECORDING: Final = ROOT / "policy/envoy/requests.jsonl"
RECORDED: Final = "policy/envoy/requests.jsonl"
COMMANDS: Final = {
    "explain-allowed": (f"ztag policy explain {RECORDED} --id {{0}} --policy policy/envoy",),
    "explain-denied": (f"ztag policy explain {RECORDED} --id {{1}} --policy policy/envoy",),
    "replay": (
        f"ztag replay {RECORDED} --policy policy/envoy",
        "sed -e 's/1000/100/' -e 's/\"admin\" in roles/\"editor\" in roles/' policy/envoy/authz.rego > changed.rego",
        f"ztag replay {RECORDED} --policy changed.rego",
    ),
}
PEOPLE: Final = {
    "ann": {"roles": ["editor"], "regions": ["eu"], "tenant": "acme"},
    "bob": {"roles": ["viewer"], "regions": ["us"], "tenant": "acme"},
    "eve": {"roles": ["admin"], "regions": [], "tenant": "acme"},
}
ASKED: Final[tuple[tuple[str, str, str, Any], ...]] = (
    ("ann", "GET", "/orders/17", None),
    ("bob", "GET", "/orders/17", None),
    ("ann", "POST", "/orders", {"amount": 40}),
    ("ann", "POST", "/orders", {"amount": 250}),
    ("bob", "POST", "/orders", {"amount": 20}),
    ("ann", "GET", "/reports?region=eu", None),
    ("bob", "GET", "/reports?region=eu", None),
    ("ann", "GET", "/admin/users", None),
    ("eve", "GET", "/admin/users", None),
)
BEGAN: Final = 1_800_000_000.0


def identity(name: str) -> Identity:
    claims = {"sub": name, **PEOPLE[name]}
    return Identity(name, "https://issuer.example", "jwt", claims, BEGAN + 600, roles=tuple(claims["roles"]))


def message(method: str, path: str, body: Any, *, bearer: bool = True) -> bytes:
    headers = {":method": method, ":path": path, ":authority": "shop.example"}
    if bearer:
        headers["authorization"] = "Bearer secret"
    http: dict[str, Any] = {"method": method, "path": path, "host": "shop.example", "scheme": "https"}
    if body is not None:
        headers |= {"content-type": "application/json", "x-envoy-auth-partial-body": "false"}
        http["body"] = json.dumps(body)
    source = {"address": {"socketAddress": {"address": "10.0.0.1", "portValue": 40000}}}
    request = {"attributes": {"source": source, "request": {"http": {**http, "headers": headers}}}}
    return check_request(json.dumps(request))


def decisions() -> Iterator[bytes]:
    """Yield the lines that the example policy's server would have recorded."""
    settings = RegoSettings(kind="rego", policies=(str(ROOT / "policy/envoy"),))
    rego = settings.build(resources_for(ROOT))
    for number, (name, method, path, body) in enumerate(ASKED):
        request = decode(message(method, path, body))
        verdict = asyncio.run(ask([rego], Context(request, identity(name))))
        id_ = f"00000000-0000-4000-8000-{number:012}"
        decision = Decision(
            id_, BEGAN + number, verdict, Stage.AUTHORIZATION, "rego", identity(name), {}, Timings(1, 1, 1)
        )
        recorded = make(request, decision, Kept(query=True, body=True))
        assert recorded is not None
        yield to_line(recorded, None)


def sections() -> dict[str, str]:
    """Return the text of each part by its name."""
    ids = [msgspec.json.decode(line)["id"] for line in RECORDING.read_bytes().splitlines()]
    return {name: block([each.format(ids[2], ids[7]) for each in commands]) for name, commands in COMMANDS.items()}


if __name__ == "__main__":
    RECORDING.write_bytes(b"".join(decisions()))
    PAGE.write_text(rewritten(PAGE.read_text(), sections()))
