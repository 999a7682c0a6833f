import asyncio
from collections.abc import Sequence
from typing import Generic

import pytest
from msgspec import Struct

from tests.authentication.parts import Clock
from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.stores.follower import SWEEP, Follower
from ztag_extauthz.stores.journal import E, News


class Note(Struct, frozen=True):
    key: str
    before: float
    until: float = 1e12


class Paper(Generic[E]):
    """A journal that says what it is told to."""

    def __init__(self) -> None:
        self.next: list[News[E] | UnavailableError] = []
        self.added: list[E] = []
        self.dropped: list[E] = []
        self.refuses = False

    async def news(self) -> News[E]:
        news = self.next.pop(0) if self.next else News[E](())
        if isinstance(news, UnavailableError):
            raise news
        return news

    async def add(self, entries: Sequence[E]) -> None:
        if entries and self.refuses:
            raise UnavailableError("down again")
        self.added += entries

    async def drop(self, entries: Sequence[E]) -> None:
        self.dropped += entries

    async def close(self) -> None:
        self.refuses = True


@pytest.fixture
def paper() -> Paper[Note]:
    return Paper()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def follower(paper: Paper[Note], clock: Clock) -> Follower[Note]:
    return Follower("notes", paper, 0.01, clock)


def test_the_latest_of_a_key_counts(paper: Paper[Note], follower: Follower[Note]) -> None:
    paper.next = [News((Note("a", 2), Note("b", 1))), News((Note("a", 1), Note("b", 2)))]
    for _ in range(2):
        asyncio.run(follower.catch_up())
    assert follower.entries == {"a": Note("a", 2), "b": Note("b", 2)}


def test_what_was_lost_is_owed_until_it_is_given_back(
    paper: Paper[Note], follower: Follower[Note], clock: Clock
) -> None:
    paper.next = [News((Note("a", 1), Note("over", 1, until=clock.now - 1))), News((Note("b", 1),), lost=True)]
    asyncio.run(follower.catch_up())
    paper.refuses = True
    for _ in range(2):
        with pytest.raises(UnavailableError):
            asyncio.run(follower.catch_up())
    assert "b" in follower.entries
    paper.refuses = False
    asyncio.run(follower.catch_up())
    asyncio.run(follower.catch_up())
    assert paper.added == [Note("a", 1)]


def test_what_is_over_is_dropped(paper: Paper[Note], follower: Follower[Note], clock: Clock) -> None:
    paper.next = [News((Note("a", 1, until=clock.now + 1), Note("b", 1)))]
    asyncio.run(follower.catch_up())
    clock.now += SWEEP + 1
    asyncio.run(follower.catch_up())
    assert list(follower.entries) == ["b"]
    assert [note.key for note in paper.dropped] == ["a"]


def test_the_background_goes_on_after_silence(paper: Paper[Note], follower: Follower[Note]) -> None:
    paper.next = [UnavailableError("redis: down"), News((Note("a", 1),))]

    async def main() -> None:
        await follower.start()
        while not follower.entries:  # noqa: ASYNC110 - what is waited for happens in the background
            await asyncio.sleep(0.01)
        assert follower.heard_at
        assert follower.why == ""
        await follower.close()

    asyncio.run(asyncio.wait_for(main(), 10))


def test_what_is_over_by_our_clock_alone_stays(follower: Follower[Note], paper: Paper[Note], clock: Clock) -> None:
    """A node whose clock is ahead must not make all others forget what was revoked."""
    begun = clock.now
    paper.next = [News((Note("a", 1, until=begun + 60),), time=begun), News((), time=begun + 1)]
    asyncio.run(follower.catch_up())
    clock.now += SWEEP + 7200
    asyncio.run(follower.catch_up())
    assert (list(follower.entries), paper.dropped) == (["a"], [])
    paper.next = [News((), time=begun + SWEEP + 61)]
    asyncio.run(follower.catch_up())
    assert (follower.entries, [note.key for note in paper.dropped]) == ({}, ["a"])
