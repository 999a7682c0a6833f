"""Two decisions on one request: where the coarse one denies, the fine one is not asked."""

import asyncio
from typing import Any

import pytest

from tests.envoy.checks import check, request
from tests.policy.test_examples import FOLDER
from tests.requests import make_identity
from ztag_extauthz.authentication.interface import Authenticator
from ztag_extauthz.cli.common import load_settings, resources_for
from ztag_extauthz.cli.trace import Witness
from ztag_extauthz.model import Allow, Deny
from ztag_extauthz.pipeline import Pipeline


class Anybody(Authenticator):
    kind = "anybody"

    def __init__(self, roles: tuple[str, ...]) -> None:
        self._identity = make_identity("ann", roles=roles, claims={"tenant": "acme"})

    async def authenticate(self, *_: Any) -> Any:
        return self._identity

    def challenge(self) -> None:
        return None


@pytest.mark.parametrize(
    ("roles", "path", "verdict", "asked"),
    [
        (("clerk",), "/accounts/1", Allow, [True, True]),
        (("clerk",), "/accounts/2", Deny, [True, True]),
        ((), "/accounts/1", Deny, [True, False]),
    ],
)
def test_the_coarse_decision_comes_first(roles: tuple[str, ...], path: str, verdict: type, asked: list[bool]) -> None:
    settings = load_settings(FOLDER / "layers/ztag.yaml")
    resources = resources_for(FOLDER / "layers")
    witnesses = [Witness(section.build(resources)) for section in settings.authorization]
    pipeline = Pipeline([], [Anybody(roles)], witnesses, [], lambda: 0.0)
    decision = asyncio.run(pipeline.decide(request(check(path)), 1e18))
    assert isinstance(decision.verdict, verdict)
    assert [bool(witness.asked()) for witness in witnesses] == asked
