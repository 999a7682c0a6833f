"""Limits of one node: what is counted together, what is refused, and what a client is told."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.authentication.parts import Clock
from tests.requests import make_identity, make_request
from ztag_extauthz.component import Resources
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Deny, Reason
from ztag_extauthz.stores.limits.rate_limits import Limits, LimitsSettings, limits
from ztag_extauthz.stores.shared import shared_memory


def make_limits(clock: Clock, *entries: dict[str, Any], meter: Meter | None = None, **settings: Any) -> Limits:
    resources = Resources(Path(), clock, meter or Meter([0.0] * 1000))
    return limits(LimitsSettings.model_validate({"limits": entries, **settings}), resources, "admission")


ADDRESS = {"name": "address", "limit": "100/minute burst 10", "by": ["address"]}
ROUTE = {"name": "route", "limit": "3/second", "by": ["method", "route"]}


def test_a_hundred_a_minute_with_a_burst_of_ten() -> None:
    clock = Clock()
    some = make_limits(clock, ADDRESS)
    assert [some.check(make_request()) is None for _ in range(12)] == [True] * 10 + [False] * 2
    clock.now += 0.61
    assert [some.check(make_request()) is None for _ in range(2)] == [True, False]
    assert some.check(make_request("10.0.0.9")) is None, "another address has its own count"


def test_a_refusal_says_when_to_come_again() -> None:
    some = make_limits(Clock(), ADDRESS, ROUTE)
    *_, refusal = (some.check(make_request()) for _ in range(4))
    assert isinstance(refusal, Deny)
    assert (refusal.reason, refusal.detail) == (Reason.RATE_LIMITED, "limit route: 3/second")
    assert dict(refusal.headers) == {
        "retry-after": "1",
        "ratelimit-policy": '"address";q=100;w=60, "route";q=3;w=1',
        "ratelimit": '"route";r=0;t=1',
    }


@pytest.mark.parametrize(
    ("style", "names"),
    [
        ("legacy", ["retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]),
        ("none", ["retry-after"]),
    ],
)
def test_headers_as_the_settings_ask(style: str, names: list[str]) -> None:
    some = make_limits(Clock(), ROUTE, headers=style)
    *_, refusal = (some.check(make_request()) for _ in range(4))
    assert refusal is not None
    assert [name for name, _ in refusal.headers] == names


def test_a_refused_request_is_charged_to_no_limit() -> None:
    clock = Clock()
    some = make_limits(clock, ADDRESS, ROUTE)
    for _ in range(20):
        some.check(make_request())
    clock.now += 2
    assert [some.check(make_request(path=f"/a/b{turn}")) is None for turn in range(8)] == [True] * 8


def test_a_shadow_counts_and_refuses_nothing() -> None:
    meter = Meter([0.0] * 1000)
    some = make_limits(Clock(), {**ROUTE, "shadow": True}, meter=meter)
    assert all(some.check(make_request()) is None for _ in range(5))
    places = [meter.series("ztag_limits", "admission", result) for result in ("allowed", "shadow")]
    assert [meter._cells[place] for place in places] == [5, 2]


def test_a_daily_quota_begins_anew_at_midnight() -> None:
    clock = Clock()
    clock.now = 20_000 * 86400 + 86390.0
    some = make_limits(clock, {"name": "day", "limit": "2/day fixed", "by": ["subject"]})
    answers = [some.check(make_request(), make_identity()) for _ in range(3)]
    assert answers[:2] == [None, None]
    assert answers[2] is not None
    assert dict(answers[2].headers)["retry-after"] == "10"
    clock.now += 10
    assert some.check(make_request(), make_identity()) is None


def test_a_part_cannot_reach_into_its_neighbour() -> None:
    some = make_limits(Clock(), {"name": "x", "limit": "1/minute", "by": ["header:a", "header:b"]})
    assert some.check(make_request(headers={"a": "1\x1f2", "b": ""})) is None
    assert some.check(make_request(headers={"a": "1", "b": "2\x1f"})) is None


def test_two_gateways_on_one_memory_share_the_count(tmp_path: Path) -> None:
    """Two workers, or one before and after a reload."""
    clock = Clock()
    with shared_memory(tmp_path) as memory:
        resources = Resources(Path(), clock, Meter([0.0] * 1000), memory)
        one, two = (limits(LimitsSettings.model_validate({"limits": [ROUTE]}), resources, "admission") for _ in "12")
        assert [limit.check(make_request()) is None for limit in (one, two, one, two, one)] == [True] * 3 + [False] * 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"limits": []}, "at least 1 item"),
        ({"limits": [ADDRESS, ADDRESS]}, "two limits have the name address: give each its own"),
        ({"limits": [{**ADDRESS, "by": ["colour"]}]}, "'colour' is no part of a request"),
        ({"limits": [{**ADDRESS, "limit": "many"}]}, "write it like `100/minute burst 10`"),
        ({"limits": [{**ADDRESS, "name": 'a"b'}]}, "pattern"),
    ],
)
def test_mistakes_are_found_at_load(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LimitsSettings.model_validate(settings)
