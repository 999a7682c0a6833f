"""The gate before authentication."""

import asyncio
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.requests import make_request
from ztag_extauthz.admission.rate_limit import RateLimitSettings
from ztag_extauthz.component import Resources
from ztag_extauthz.meter import Meter


def test_refuses_what_is_over_the_limit() -> None:
    settings = RateLimitSettings.model_validate({"limits": [{"name": "a", "limit": "2/hour", "by": ["address"]}]})
    gate = settings.build(Resources(Path(), time.time, Meter([0.0] * 1000)))

    async def run() -> list[bool]:
        return [await gate.admit(make_request(), 0) is None for _ in range(3)]

    assert asyncio.run(run()) == [True, True, False]


def test_nobody_is_known_yet() -> None:
    with pytest.raises(ValidationError, match=r"claim:tenant, subject: known only after authentication; .*kind: quota"):
        RateLimitSettings.model_validate(
            {"limits": [{"name": "a", "limit": "2/hour", "by": ["subject", "address", "claim:tenant"]}]}
        )
