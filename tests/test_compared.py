"""The policy that opa-envoy-plugin is compared with says what the example policy says, tokens verified in Rego."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from loadtest.corpus import AUDIENCE, ISSUER, Issuer, check_request
from loadtest.peers.opa_envoy import pem, policy
from loadtest.workload import ROOT, Workload, workload
from ztag_extauthz.authorization.input import opa_input
from ztag_extauthz.envoy import decode
from ztag_extauthz.model import Context, Identity
from ztag_extauthz.rego.engine import compile_policy

DECISION = "envoy/authz/result"
ANONYMOUS = Identity("anonymous", "", "anonymous", {}, 0.0)


@pytest.fixture(scope="module")
def load() -> Iterator[Workload]:
    with workload() as made:
        yield made


def answer(text: str, message: bytes, identity: Identity) -> Any:
    compiled = compile_policy({"policy.rego": text}, entry_points=[DECISION])
    document = opa_input.build(Context(decode(message), identity))
    return compiled.decision(DECISION).evaluate(document)


@pytest.mark.parametrize("path", ["/orders/1", "/admin", "/health"])
@pytest.mark.parametrize("written", [str, pem])
def test_the_compared_policy_says_the_same(load: Workload, path: str, written: Callable[[str], str]) -> None:
    compared = policy(written((load.folder / "jwks.json").read_text()))
    example = (ROOT / "policy/envoy/authz.rego").read_text()
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "roles": ["editor"]}
    known = Identity("ann", ISSUER, "jwt", claims, 0.0, roles=("editor",))
    for issuer, identity in ((load.issuer, known), (Issuer(), ANONYMOUS)):
        message = check_request(issuer.token("ann", ("editor",)), path)
        wanted = answer(example, message, identity)
        assert "allowed" in wanted
        assert answer(compared, message, ANONYMOUS) == wanted
