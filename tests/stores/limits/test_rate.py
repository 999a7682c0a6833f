"""The text of a limit."""

import pytest

from ztag_extauthz.stores.limits.rate import NANOSECONDS, Rate, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100/minute burst 10", Rate(100, 60, 10)),
        ("100/minute", Rate(100, 60, 100)),
        ("10 per 5 seconds", Rate(10, 5, 10)),
        ("100 a minute burst 10", Rate(100, 60, 10)),
        ("3 an hour", Rate(3, 3600, 3)),
        ("5000/day fixed", Rate(5000, 86400, 5000, fixed=True)),
        ("1_000/s", Rate(1000, 1, 1000)),
        ("7/2H", Rate(7, 7200, 7)),
        ("5/s", Rate(5, 1, 5)),
        ("10 per 15 minutes fixed", Rate(10, 900, 10, fixed=True)),
    ],
)
def test_reads(text: str, expected: Rate) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no limit: write it like"),
        ("100", "is no limit: write it like"),
        ("100/minute burst", "is no limit: write it like"),
        ("100/minute fixed burst 3", "is no limit: write it like"),
        ("100/fortnight", "'fortnight' is no unit of time"),
        ("5/ms", "'ms' is no unit of time"),
        ("0/minute", "the numbers must be 1 or more"),
        ("5/minute burst 0", "the numbers must be 1 or more"),
        ("2000000/second", "a million a second is the most"),
        ("1/400 days", "a year is the longest time"),
        ("१/minute", "is no limit"),
    ],
)
def test_refuses_and_says_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_an_even_flow_and_a_quota_are_the_same_sum() -> None:
    flow, quota = parse("100/minute burst 10"), parse("5000/day fixed")
    assert (flow.amount, flow.ceiling, flow.window) == (600_000_000, 6 * NANOSECONDS, 0)
    assert (quota.amount, quota.ceiling, quota.window) == (1, 5000, 86400 * NANOSECONDS)
