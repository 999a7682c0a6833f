import asyncio

import pytest

from tests.authentication.parts import FOREVER, request
from ztag_extauthz.authentication.anonymous import NOBODY, Anonymous

STRICT = Anonymous(any_authorization=False)


def test_who_shows_nothing_is_nobody() -> None:
    assert asyncio.run(STRICT.authenticate(request(), FOREVER)) is NOBODY
    assert STRICT.challenge() is None


@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNz", "Bearer x", "", "x"])
def test_s06_a_header_that_nobody_accepted_is_not_nothing(value: str) -> None:
    assert asyncio.run(STRICT.authenticate(request(value), FOREVER)) is None


def test_the_insecure_choice_takes_it() -> None:
    lax = Anonymous(any_authorization=True)
    assert asyncio.run(lax.authenticate(request("Basic dXNlcjpwYXNz"), FOREVER)) is NOBODY
