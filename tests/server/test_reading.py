import asyncio

import pytest

from ztag_extauthz.server.core import RpcError, Status
from ztag_extauthz.server.reading import Unfinished


async def never() -> bytes:
    await asyncio.Event().wait()
    return b""


def test_the_one_waited_for_longest_gives_way() -> None:
    async def main() -> None:
        unfinished = Unfinished(most=2)
        later = asyncio.get_running_loop().time() + 60.0
        first, second, third = (asyncio.create_task(unfinished.wait(never(), later)) for _ in range(3))
        done, waiting = await asyncio.wait({first, second, third}, return_when=asyncio.FIRST_COMPLETED)
        assert done == {first}
        error = first.exception()
        assert isinstance(error, RpcError)
        assert error.status is Status.DEADLINE_EXCEEDED
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)

    asyncio.run(main())


def test_what_is_over_already_makes_way_all_the_same() -> None:
    async def main() -> None:
        unfinished = Unfinished(most=1)
        over = [asyncio.create_task(unfinished.wait(never(), 0.0)) for _ in range(3)]
        for task in over:
            with pytest.raises(RpcError):
                await task

    asyncio.run(main())
