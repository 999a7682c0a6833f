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


def test_what_the_limits_refuse_holds_no_place() -> None:
    settings = QuotaSettings.model_validate(
        {
            "kind": "quota",
            "limits": [{"name": "often", "limit": "3/hour", "by": ["subject"]}],
            "concurrent": [{"name": "at-once", "limit": 2, "by": ["issuer"]}],
        }
    )
    quota = settings.build(Resources(Path(), time.time, Meter([0.0] * 1000)))
    notes: list[str] = []

    async def ask(subject: str) -> str:
        verdict = await quota.authorize(Context(make_request(), make_identity(subject)), 0)
        if isinstance(verdict, Deny):
            return verdict.detail.partition(":")[0]
        notes.append(verdict.notes["quota"])
        return "allowed"

    async def run() -> list[str]:
        answers = [await ask("a"), await ask("b"), await ask("a")]
        quota.ended(notes.pop(0), 200)
        answers.append(await ask("a"))
        quota.ended(notes.pop(0), 0)
        answers += [await ask("a")]
        quota.ended(notes.pop(0), 0)
        quota.ended(notes.pop(0), 0)
        return [*answers, *[await ask("a") for _ in range(3)], await ask("b"), await ask("b"), await ask("b")]

    assert asyncio.run(run()) == [
        "allowed",
        "allowed",
        "limit at-once",
        "allowed",
        "allowed",
        *["limit often"] * 3,
        "allowed",
        "allowed",
        "limit at-once",
    ]
