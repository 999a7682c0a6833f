"""The levels of the cache, one after the other.

1. this worker's own memory, by the key itself
2. the node's table, by a keyed BLAKE2b of the key
3. what all replicas share, by the same
4. the engine; its answer goes the same way back

Where an answer is waited for, those who ask the same meanwhile wait for it too.
"""

import asyncio
from collections.abc import Callable
from hashlib import blake2b
from time import monotonic

from ztag_extauthz.authorization.cache.encoding import Answer, decode, encode, pack
from ztag_extauthz.authorization.cache.interface import Answers, Ask, FarAnswers, Forgotten, Key
from ztag_extauthz.authorization.cache.nearby import Kept, Nearby, size_of
from ztag_extauthz.authorization.cache.tags import tags_of
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Context, Verdict
from ztag_extauthz.stores.slots import NOWHERE, Slots

SKEW = 1.0
"""Seconds that the clocks of replicas, or one clock over time, may differ: an answer from later than that is none."""


class Remembered(Answers):
    """Remembers the answers to one decision of one revision."""

    def __init__(  # noqa: PLR0913 - the levels, and what they have in common
        self,
        made_of: bytes,
        life: float,
        nearby: Nearby,
        slots: Slots,
        far: FarAnswers | None,
        forgotten: Forgotten,
        *,
        tenant_claim: str | None,
        waits: bool,
        clock: Callable[[], float],
        meter: Meter,
    ) -> None:
        """`made_of` stands for all that answers depend on beside the key; `life` in seconds, `clock` in Unix seconds.

        `waits`: asking takes more than one turn of the event loop.
        """
        self._life = life
        self._nearby = nearby
        self._slots = slots
        self._far = far
        self._forgotten = forgotten
        self._tenant_claim = tenant_claim
        self._waits = waits or far is not None
        self._clock = clock
        self._meter = meter
        self._hash = blake2b(made_of, digest_size=32, key=slots.seed if far is None else far.secret)
        self._flights: dict[Key, asyncio.Future[None]] = {}
        self._in_worker, self._on_node, self._in_replicas, self._missed = (
            meter.series("ztag_cache_lookups", result) for result in ("worker", "node", "replicas", "miss")
        )
        self._evictions = meter.series("ztag_cache_evictions", "node")
        self._too_large = meter.series("ztag_cache_uncached", "too_large")
        self._entries = meter.series("ztag_cache_entries", "node")

    def recall(self, key: Key, context: Context) -> Verdict | None:
        kept = self._nearby.get(key)
        if kept is None or not self._holds(kept, context):
            return None
        self._slots.touch(kept.place)
        self._meter.add(self._in_worker)
        return kept.verdict

    def _holds(self, answer: Answer | Kept, context: Context) -> bool:
        """Tell whether an answer has begun, has not ended, and was not said to be forgotten."""
        made_at = answer.made_at
        if not made_at - SKEW <= self._clock() < answer.expires_at:
            return False
        forgotten = self._forgotten
        return made_at > forgotten.latest or made_at > forgotten.since(tags_of(context, self._tenant_claim))

    async def find(self, key: Key, context: Context, ask: Ask, deadline: float) -> Verdict:
        packed = pack(key)
        digest = self._digest(packed)
        verdict = self._recall_from_node(key, packed, digest, context)
        if verdict is not None:
            return verdict
        if not self._waits:
            return await self._ask(key, packed, digest, context, ask)
        return await self._share(key, packed, digest, context, ask, deadline)

    def _digest(self, packed: bytes) -> bytes:
        begun = self._hash.copy()
        begun.update(packed)
        return begun.digest()

    def _recall_from_node(self, key: Key, packed: bytes, digest: bytes, context: Context) -> Verdict | None:
        found = self._slots.get(digest)
        answer = None if found is None else decode(found[0])
        if found is None or answer is None or not self._holds(answer, context):
            return None
        content, place = found
        kept = Kept(answer.verdict, answer.made_at, answer.expires_at, place, size_of(packed, content))
        self._nearby.put(key, kept)
        self._meter.add(self._on_node)
        return answer.verdict

    async def _share(
        self, key: Key, packed: bytes, digest: bytes, context: Context, ask: Ask, deadline: float
    ) -> Verdict:
        """Wait for whoever asks the same already, and then look again: what holds for one may not for the other."""
        flight = self._flights.get(key)
        if flight is not None:
            await asyncio.wait({flight}, timeout=max(0.0, deadline - monotonic()))
            verdict = self.recall(key, context) or self._recall_from_node(key, packed, digest, context)
            if verdict is not None:
                return verdict
        own = asyncio.get_running_loop().create_future()
        first = self._flights.setdefault(key, own)
        try:
            return await self._reach(key, packed, digest, context, ask, deadline)
        finally:
            if first is own:
                del self._flights[key]
            own.set_result(None)

    async def _reach(
        self, key: Key, packed: bytes, digest: bytes, context: Context, ask: Ask, deadline: float
    ) -> Verdict:
        if self._far is not None:
            content = await self._far.get(digest, deadline)
            answer = None if content is None else decode(content)
            if content is not None and answer is not None and self._holds(answer, context):
                self._keep(key, packed, digest, answer, content)
                self._meter.add(self._in_replicas)
                return answer.verdict
        return await self._ask(key, packed, digest, context, ask)

    async def _ask(self, key: Key, packed: bytes, digest: bytes, context: Context, ask: Ask) -> Verdict:
        self._meter.add(self._missed)
        began = self._clock()
        verdict = await ask()
        ends = context.identity.expires_at
        until = began + self._life if ends is None else min(began + self._life, ends)
        if until > self._clock():
            answer = Answer(verdict, began, until)
            content = encode(answer)
            self._keep(key, packed, digest, answer, content)
            if self._far is not None:
                self._far.put(digest, content, until - began)
        return verdict

    def _keep(self, key: Key, packed: bytes, digest: bytes, answer: Answer, content: bytes) -> None:
        placed = self._slots.put(digest, content, self._clock(), answer.expires_at)
        if placed is None:
            self._meter.add(self._too_large)
        elif placed.evicted:
            self._meter.add(self._evictions)
        self._meter.set(self._entries, self._slots.entries)
        place = NOWHERE if placed is None else placed.place
        size = size_of(packed, content)
        self._nearby.put(key, Kept(answer.verdict, answer.made_at, answer.expires_at, place, size))

    async def close(self) -> None:
        self._nearby.close()
