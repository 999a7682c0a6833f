import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.authentication.parts import Clock
from ztag_extauthz.authorization.cache.invalidation import SIZE, Invalidation, NodeJournal
from ztag_extauthz.authorization.cache.settings import LONGEST
from ztag_extauthz.authorization.cache.tags import ALL
from ztag_extauthz.component import private_memory
from ztag_extauthz.errors import UnavailableError


@pytest.fixture
def block() -> memoryview:
    return private_memory("forgotten", SIZE)


def add(journal: NodeJournal, *entries: Invalidation) -> None:
    asyncio.run(journal.add(entries))


def news(journal: NodeJournal) -> tuple[Invalidation, ...]:
    return asyncio.run(journal.news()).entries


def test_every_worker_hears_of_everything_once(block: memoryview) -> None:
    command, workers = NodeJournal(block), [NodeJournal(block), NodeJournal(block)]
    one, other = Invalidation("subject:issuer|ann", 1.0), Invalidation("tenant:a\nb", 2.0)
    add(command, one)
    assert [news(worker) for worker in workers] == [(one,), (one,)]
    add(command, other)
    assert [news(worker) for worker in workers] == [(other,), (other,)]
    assert news(workers[0]) == ()
    assert news(NodeJournal(block)) == (one, other)


def test_who_writes_holds_the_lock(block: memoryview) -> None:
    held = []

    @contextmanager
    def lock() -> Iterator[None]:
        held.append(bytes(block[:16]))
        yield
        held.append(bytes(block[:16]))

    add(NodeJournal(block, lock), Invalidation(ALL, 1.0))
    assert held[0] == bytes(16) != held[1]


def test_what_is_over_makes_room(block: memoryview) -> None:
    clock = Clock()
    command, worker = NodeJournal(block, clock=clock), NodeJournal(block)
    old = [Invalidation(f"resource:shop.example/{'o' * 1000}{number}", clock.now) for number in range(SIZE // 1100)]
    add(command, *old)
    assert len(news(worker)) == len(old)
    clock.now += LONGEST + 1
    new = [Invalidation(f"resource:shop.example/{'n' * 1000}{number}", clock.now) for number in range(100)]
    add(command, *new)
    assert news(worker) == tuple(new)


def test_where_there_is_no_room_everything_is_forgotten(block: memoryview) -> None:
    clock = Clock()
    command, worker = NodeJournal(block, clock=clock), NodeJournal(block)
    for number in range(SIZE // 1000):
        clock.now += 1
        add(command, Invalidation(f"resource:shop.example/{'o' * 1000}{number}", clock.now))
    found = {entry.tag: entry.before for entry in news(worker)}
    assert found[ALL] >= clock.now - len(found)


def test_who_was_killed_while_writing_is_noticed_and_made_good(block: memoryview) -> None:
    clock = Clock()
    command, worker = NodeJournal(block, clock=clock), NodeJournal(block)
    add(command, Invalidation("subject:issuer|ann", 1.0))
    block[:16].cast("q")[0] += 1
    with pytest.raises(UnavailableError):
        news(worker)
    add(command, Invalidation("subject:issuer|bob", clock.now))
    assert news(worker) == (Invalidation(ALL, clock.now),)
