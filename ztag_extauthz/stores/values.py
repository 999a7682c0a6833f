"""Values by key in a Redis or a Redis Cluster, of which nothing is asked while it is down.

The first failure ends the asking; a task in the background finds out when it is back, and asks for the very key that
failed, so that in a cluster it waits for that key's node. Until then a call costs a look at one attribute.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ztag_extauthz.component import cancelled
from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.stores.redis import PATIENCE, RedisServer, connect, failures, why_down

if TYPE_CHECKING:
    from collections.abc import Sequence

LOG = logging.getLogger("ztag.redis")
_FIRST = b"ztag:probe"


class RedisValues:
    """Pooled connections; what is asked together travels together."""

    def __init__(self, settings: RedisServer, purpose: str) -> None:
        """`purpose` is for the log. Raises `SettingsError` where the folder says no address."""
        settings.check_folder()
        self.up = False
        """Whether it is worth asking."""
        self._settings = settings
        self._purpose = purpose
        self._why = ""
        self._client: Any = None
        self._regaining: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect in the background."""
        self._regaining = asyncio.create_task(self._regain(_FIRST), name="redis")

    async def close(self) -> None:
        """Close the connections."""
        self.up = False
        await cancelled(self._regaining)
        if self._client is not None:
            with suppress(*failures()):
                await self._client.aclose()

    async def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the value of each key; b"" for what Redis has but does not give out (it is no string).

        Raises `UnavailableError` in at most `timeout` seconds.
        """
        found = await self._run([("GET", key) for key in keys], self._settings.timeout)
        return [None if one is None else one if isinstance(one, bytes) else b"" for one in found]

    async def put(self, items: Sequence[tuple[bytes, bytes, int]]) -> int:
        """Set keys to values for so many milliseconds; return how many were.

        Raises `UnavailableError` in at most `PATIENCE` seconds.
        """
        done = await self._run([("SET", key, value, "PX", lifetime) for key, value, lifetime in items], PATIENCE)
        return sum(one is True or one == b"OK" for one in done)

    async def _run(self, commands: Sequence[tuple[Any, ...]], seconds: float) -> list[Any]:
        """Return what Redis says to each command, an exception where it refuses one."""
        if not self.up:
            raise UnavailableError(self._why or "redis: not asked yet")
        try:
            async with asyncio.timeout(seconds):
                answers = await self._ask(commands)
        except failures() as error:
            raise self._lost(commands[0][1], error) from error
        for command, answer in zip(commands, answers, strict=True):
            if isinstance(answer, Exception) and _means_down(answer):
                raise self._lost(command[1], answer) from answer
        return answers

    async def _ask(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        from redis.exceptions import ResponseError  # noqa: PLC0415 - an extra

        if len(commands) == 1:
            try:
                return [await self._client.execute_command(*commands[0])]
            except ResponseError as error:
                return [error]
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers

    def _lost(self, key: bytes, error: Exception) -> UnavailableError:
        """Stop asking until the key's node answers again."""
        if self.up:
            self.up = False
            self._note(error)
            self._regaining = asyncio.create_task(self._regain(key), name="redis")
        return UnavailableError(self._why)

    def _note(self, error: Exception) -> None:
        """Tell once that Redis is down, whatever the causes are in turn."""
        if not self._why:
            LOG.warning("%s: %s", self._purpose, why_down(self._settings, error))
        self._why = why_down(self._settings, error)

    async def _regain(self, key: bytes) -> None:
        while True:
            try:
                if self._client is None:
                    self._client = connect(self._settings)
                async with asyncio.timeout(PATIENCE):
                    await self._client.get(key)
            except failures() as error:
                self._note(error)
            else:
                LOG.info("%s: redis at %s is up", self._purpose, self._settings.shown())
                self.up, self._why = True, ""
                return
            await asyncio.sleep(self._settings.retry_after)


def _means_down(error: Exception) -> bool:
    """Tell a node that cannot answer from one that refuses a command."""
    from redis.exceptions import AskError, ClusterError, ResponseError, TryAgainError  # noqa: PLC0415 - an extra

    return not isinstance(error, ResponseError) or isinstance(error, AskError | ClusterError | TryAgainError)
