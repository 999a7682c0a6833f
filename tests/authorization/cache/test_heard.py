import asyncio

from tests.authentication.parts import Clock
from tests.stores.test_follower import Paper
from ztag_extauthz.authorization.cache.heard import Heard
from ztag_extauthz.authorization.cache.invalidation import Invalidation
from ztag_extauthz.authorization.cache.settings import LONGEST
from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.meter import CELLS, Meter
from ztag_extauthz.stores.journal import News

ANN = ("all", "subject:issuer|ann", "resource:shop.example/")
BOB = ("all", "subject:issuer|bob", "resource:shop.example/")


class Rig:
    def __init__(self, **durations: float) -> None:
        self.clock = Clock()
        self.paper: Paper[Invalidation] = Paper()
        self.cells = [0.0] * CELLS
        self.heard = Heard(
            self.paper, self.clock, Meter(self.cells), **{"interval": 0.01, "max_stale": 5.0, "margin": 1.0} | durations
        )

    def hear(self, *entries: Invalidation) -> None:
        self.paper.next = [News(entries)]
        asyncio.run(self.heard.follower.catch_up())


def test_an_answer_counts_that_began_after_what_is_forgotten() -> None:
    rig = Rig()
    rig.hear(Invalidation("subject:issuer|ann", rig.clock.now - 10))
    assert rig.heard.since(ANN) == rig.clock.now - 9
    assert rig.heard.since(BOB) == rig.clock.now - LONGEST
    assert rig.heard.latest == rig.clock.now - 9


def test_the_latest_of_a_requests_tags_counts() -> None:
    rig = Rig(margin=0.0)
    rig.hear(
        Invalidation("resource:shop.example/", rig.clock.now - 1),
        Invalidation("all", rig.clock.now - 2),
        Invalidation("subject:issuer|ann", rig.clock.now - 3),
    )
    assert rig.heard.since(ANN) == rig.heard.since(BOB) == rig.clock.now - 1
    assert rig.cells[Meter.series("ztag_cache_invalidations", "all")] == 1


def test_in_silence_an_answer_counts_for_a_while() -> None:
    rig = Rig()
    began = rig.clock.now
    assert rig.heard.since(ANN) == rig.heard.latest == began  # nobody has told us what was forgotten before
    rig.hear()
    assert rig.heard.latest == began - LONGEST
    rig.clock.now += 5
    assert rig.heard.since(ANN) == rig.clock.now - LONGEST
    rig.clock.now += 6
    assert rig.heard.since(ANN) == rig.heard.latest == rig.clock.now - 5
    rig.hear()
    assert rig.heard.since(ANN) == rig.clock.now - LONGEST


def test_whoever_hears_nothing_shares_nothing() -> None:
    rig = Rig()
    assert not rig.heard.hears()
    rig.hear()
    assert rig.heard.hears()
    for step in (6, -6):  # a clock that was set back does not tell how long nothing was heard
        rig.clock.now += step
        assert not rig.heard.hears()
        rig.hear()
        assert rig.heard.hears()


def test_an_error_is_silence() -> None:
    rig = Rig()
    rig.hear()
    rig.paper.next = [UnavailableError("redis: down")] * 1000

    async def main() -> None:
        await rig.heard.start()
        while rig.heard.hears():  # noqa: ASYNC110 - what is waited for happens in the background
            await asyncio.sleep(0.01)
        await rig.heard.close()

    asyncio.run(asyncio.wait_for(main(), 10))
