"""Concurrency limits of one node and of all replicas: one body over both."""

import asyncio
import subprocess  # noqa: TC003 - as plain as in any other test
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.authentication.parts import Clock
from tests.requests import make_identity, make_request
from ztag_extauthz.authorization.quota import QuotaSettings
from ztag_extauthz.component import Resources
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Deny
from ztag_extauthz.stores.limits.concurrency import Semaphores, semaphores

Server = tuple[int, "subprocess.Popen[bytes]"]
SUBJECT = {"name": "subject", "limit": 2, "by": ["subject"]}
TENANT = {"name": "tenant", "limit": 3, "by": ["claim:tenant"]}
ALICE, BOB = make_identity("alice"), make_identity("bob")


class Case:
    """Concurrency limits, and what they counted."""

    def __init__(self, *limits: dict[str, Any], **settings: Any) -> None:
        self.clock, self.cells = Clock(), [0.0] * 1000
        parsed = QuotaSettings.model_validate({"kind": "quota", "concurrent": limits, **settings})
        resources = Resources(Path(), self.clock, Meter(self.cells))
        self.places: Semaphores = semaphores(parsed.concurrent, parsed, resources)

    async def take(self, *who: Any) -> list[str | Deny]:
        return [await self.places.take(make_request(), one) for one in who]

    def count(self, name: Any, *labels: str) -> float:
        return self.cells[Meter.series(name, *labels)]

    async def returned(self, count: float) -> None:
        """Wait for what is being given back: so many requests in all."""
        await asyncio.gather(*getattr(self.places, "_tasks", ()))
        assert self.count("ztag_places", "returned") == count


@pytest.fixture(params=["node", "replicas"])
def shared_by(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "node":
        return {}
    port, _ = request.getfixturevalue("redis")
    return {"redis": {"url": f"redis://127.0.0.1:{port}", "timeout": 30.0}}


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await body()

    asyncio.run(whole())


def test_a_place_is_free_when_its_request_has_ended(shared_by: dict[str, Any]) -> None:
    case = Case(SUBJECT, **shared_by)

    async def body() -> None:
        first, second, third, other = await case.take(ALICE, ALICE, ALICE, BOB)
        assert [type(one) for one in (first, second, third, other)] == [str, str, Deny, str]
        assert isinstance(third, Deny)
        assert third.detail == "limit subject: 2 at the same time"
        for _ in range(2):
            case.places.give_back(str(first))
            await case.returned(1)
        assert [type(one) for one in await case.take(ALICE, ALICE)] == [str, Deny]
        assert case.count("ztag_places", "taken") == 4
        await case.places.close()
        assert case.count("ztag_places", "returned") == 1

    run(body)


def test_a_refused_request_takes_no_place_of_any_limit(shared_by: dict[str, Any]) -> None:
    case = Case(TENANT, SUBJECT, **shared_by)

    async def body() -> None:
        notes = await case.take(ALICE, ALICE, ALICE, ALICE, BOB, BOB)
        assert [type(one) for one in notes] == [str, str, Deny, Deny, str, Deny]
        await case.places.close()

    run(body)


def test_a_shadow_refuses_nothing(shared_by: dict[str, Any]) -> None:
    case = Case({**SUBJECT, "shadow": True}, **shared_by)

    async def body() -> None:
        notes = await case.take(ALICE, ALICE, ALICE)
        assert case.count("ztag_limits", "authorization", "shadow") == 1
        for note in notes:
            case.places.give_back(str(note))
        await case.places.close()
        assert case.count("ztag_places", "returned") == 2

    run(body)


@pytest.mark.parametrize("note", ["", "x", "é", "AAAA", "A" * 64, "@", "@AAAA", "@" + "A" * 64, "@é"])
def test_a_note_that_is_not_ours_gives_nothing_back(shared_by: dict[str, Any], note: str) -> None:
    case = Case(SUBJECT, **shared_by)

    async def body() -> None:
        await case.take(ALICE, ALICE)
        case.places.give_back(note)
        await case.places.close()
        assert case.count("ztag_places", "returned") == 0

    run(body)


def test_what_nobody_gives_back_is_free_after_its_longest_time() -> None:
    case = Case({**SUBJECT, "longest": 60})

    async def body() -> None:
        await case.take(ALICE, ALICE)
        case.clock.now += 59
        assert [type(one) for one in await case.take(ALICE)] == [Deny]
        case.clock.now += 1.5
        assert [type(one) for one in await case.take(ALICE)] == [str]

    run(body)


def test_what_was_taken_before_the_clock_was_set_back_is_free() -> None:
    case = Case({**SUBJECT, "longest": 60})

    async def body() -> None:
        await case.take(ALICE, ALICE)
        case.clock.now -= 7200
        assert [type(one) for one in await case.take(ALICE, ALICE, ALICE)] == [str, str, Deny]

    run(body)


@pytest.mark.parametrize(
    ("style", "headers"),
    [
        (
            "draft",
            {
                "retry-after": "1",
                "ratelimit-policy": '"subject";q=2;qu="concurrent-requests"',
                "ratelimit": '"subject";r=0',
            },
        ),
        (
            "legacy",
            {"retry-after": "1", "x-ratelimit-limit": "2", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"},
        ),
        ("none", {"retry-after": "1"}),
    ],
)
def test_headers_as_the_settings_ask(style: str, headers: dict[str, str]) -> None:
    case = Case(SUBJECT, headers=style)

    async def body() -> None:
        *_, refused = await case.take(ALICE, ALICE, ALICE)
        assert isinstance(refused, Deny)
        assert dict(refused.headers) == headers

    run(body)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"concurrent": []}, "it limits nothing: list `limits` or `concurrent`"),
        ({"concurrent": [SUBJECT, SUBJECT]}, "two limits have the name subject"),
        (
            {"concurrent": [SUBJECT], "limits": [{"name": "subject", "limit": "1/s", "by": ["subject"]}]},
            "two limits have the name subject",
        ),
        ({"concurrent": [{**SUBJECT, "limit": 1001}]}, "less than or equal to 1000"),
    ],
)
def test_mistakes_are_found_at_load(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        QuotaSettings.model_validate({"kind": "quota", **settings})
