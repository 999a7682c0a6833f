"""Limits after authentication."""

import asyncio
import time
from pathlib import Path

from tests.requests import make_identity, make_request
from ztag_extauthz.authorization.quota import QuotaSettings
from ztag_extauthz.component import Resources
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Allow, Context, Deny


def test_counts_each_subject_of_each_issuer_by_itself() -> None:
    settings = QuotaSettings.model_validate(
        {"kind": "quota", "limits": [{"name": "subject", "limit": "1/hour", "by": ["subject"]}]}
    )
    quota = settings.build(Resources(Path(), time.time, Meter([0.0] * 1000)))

    async def run(*who: tuple[str, str]) -> list[type]:
        contexts = (Context(make_request(), make_identity(subject, issuer=issuer)) for subject, issuer in who)
        return [type(await quota.authorize(context, 0)) for context in contexts]

    assert asyncio.run(run(("a", "x"), ("a", "x"), ("a", "y"), ("b", "x"))) == [Allow, Deny, Allow, Allow]
