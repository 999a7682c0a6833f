import asyncio

from tests.authentication.parts import Clock
from ztag_extauthz.server.backlog import Backlog


def test_what_came_while_a_turn_lasted_has_waited_as_long() -> None:
    clock = Clock(100.0)

    async def main() -> list[float]:
        backlog = Backlog(clock)
        found = []
        for _ in range(4):
            found.append(backlog.waited(clock.now))
            clock.now += 0.3  # the loop is busy
            found.append(backlog.waited(clock.now))
            await asyncio.sleep(0)
        return [round(seconds, 3) for seconds in found]

    # The first turn begins with the first request; from the third on, the turn before counts as a whole.
    assert asyncio.run(main()) == [0.0, 0.3, 0.3, 0.6, 0.3, 0.6, 0.3, 0.6]


def test_an_idle_loop_is_no_backlog() -> None:
    clock = Clock(100.0)

    async def main() -> list[float]:
        backlog = Backlog(clock)
        found = []
        for _ in range(3):
            found.append(backlog.waited(clock.now))
            for _ in range(3):
                await asyncio.sleep(0)
            clock.now += 10.0  # nobody asks
        return found

    assert asyncio.run(main()) == [0.0, 0.0, 0.0]
