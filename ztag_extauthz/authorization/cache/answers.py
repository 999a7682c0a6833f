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

from msgspec import Struct

from ztag_extauthz.again import Again
from ztag_extauthz.authorization.cache.encoding import Answer, decode, encode, pack
from ztag_extauthz.authorization.cache.interface import Answers, Ask, FarAnswers, Forgotten, Key
from ztag_extauthz.authorization.cache.nearby import Kept, Nearby, size_of
from ztag_extauthz.authorization.cache.tags import tags_of
from ztag_extauthz.meter import Meter
from ztag_extauthz.model import Context, Verdict
from ztag_extauthz.stores.slots import NOWHERE, Slots

SKEW = 1.0
"""Seconds that the clocks of replicas, or one clock over time, may differ: an answer from later than that is none."""


class Common(Struct, frozen=True):
    """What all revisions of a policy, and all their answers, have in common."""

    slots: Slots
    far: FarAnswers | None
    forgotten: Forgotten
    tenant_claim: str | None
    clock: Callable[[], float]
    """Unix seconds."""
    meter: Meter


class _Question(Struct, frozen=True):
    key: Key
    packed: bytes
    digest: bytes
    context: Context
    ask: Ask
    deadline: float


class Remembered(Answers):
    """Remembers the answers to one decision of one revision."""

    def __init__(self, made_of: bytes, life: float, nearby: Nearby, common: Common, *, waits: bool) -> None:
        """`made_of` stands for all that answers depend on beside the key; `life` in seconds.

        `waits`: asking takes more than one turn of the event loop.
        """
        self._life = life
        self._nearby = nearby
        self._slots, self._far = common.slots, common.far
        self._forgotten = common.forgotten
        self._tenant_claim = common.tenant_claim
        self._clock = common.clock
        self._waits = waits or common.far is not None
        self._hash = blake2b(made_of, digest_size=32, key=common.far.secret if common.far else common.slots.seed)
        self._flights: dict[Key, asyncio.Future[None]] = {}
        self._meter = meter = common.meter
        self._in_worker, self._on_node, self._in_replicas, self._missed = (
            meter.series("ztag_cache_lookups", result) for result in ("worker", "node", "replicas", "miss")
        )
        self._evictions = meter.series("ztag_cache_evictions", "node")
        self._too_large = meter.series("ztag_cache_uncached", "too_large")
        self._entries = meter.series("ztag_cache_shared_entries")

    def recall(self, key: Key, context: Context) -> Verdict | None:
        kept = self._nearby.get(key)
        if kept is None or not self._holds(kept, context):
            return None
        self._found(kept)
        return kept.verdict

    def again(self, key: Key, context: Context, verdict: Verdict) -> Again | None:
        kept = self._nearby.get(key)
        if kept is None or kept.verdict is not verdict:
            return None
        tags = tags_of(context, self._tenant_claim)

        def holds(now: float) -> bool:
            return _is_timely(kept, now) and (kept.made_at > self._forgotten.latest or self._survives(kept, tags))

        return Again(holds, lambda _: self._found(kept))

    def _found(self, kept: Kept) -> None:
        self._slots.touch(kept.place)
        self._meter.add(self._in_worker)

    def _holds(self, answer: Answer | Kept, context: Context) -> bool:
        """Tell whether an answer has begun, has not ended, and was not said to be forgotten."""
        if not _is_timely(answer, self._clock()):
            return False
        return answer.made_at > self._forgotten.latest or self._survives(answer, tags_of(context, self._tenant_claim))

    def _survives(self, answer: Answer | Kept, tags: tuple[str, ...]) -> bool:
        return answer.made_at > self._forgotten.since(tags)

    async def find(self, key: Key, context: Context, ask: Ask, deadline: float) -> Verdict:
        packed = pack(key)
        digest = self._hash.copy()
        digest.update(packed)
        question = _Question(key, packed, digest.digest(), context, ask, deadline)
        verdict = self._recall_from_node(question)
        if verdict is not None:
            return verdict
        return await (self._share(question) if self._waits else self._ask(question))

    def _recall_from_node(self, question: _Question) -> Verdict | None:
        found = self._slots.get(question.digest)
        answer = None if found is None else decode(found[0])
        if found is None or answer is None or not self._holds(answer, question.context):
            return None
        content, place = found
        self._keep_nearby(question, answer, content, place)
        self._meter.add(self._on_node)
        return answer.verdict

    async def _share(self, question: _Question) -> Verdict:
        """Wait for whoever asks the same already, and then look again: what holds for one may not for the other."""
        key = question.key
        flight = self._flights.get(key)
        if flight is not None:
            await asyncio.wait({flight}, timeout=max(0.0, question.deadline - monotonic()))
            verdict = self.recall(key, question.context) or self._recall_from_node(question)
            if verdict is not None:
                return verdict
        own = asyncio.get_running_loop().create_future()
        first = self._flights.setdefault(key, own)
        try:
            return await self._recall_from_replicas(question) or await self._ask(question)
        finally:
            if first is own:
                del self._flights[key]
            own.set_result(None)

    async def _recall_from_replicas(self, question: _Question) -> Verdict | None:
        content = None if self._far is None else await self._far.get(question.digest, question.deadline)
        answer = None if content is None else decode(content)
        if content is None or answer is None or not self._holds(answer, question.context):
            return None
        self._keep(question, answer, content)
        self._meter.add(self._in_replicas)
        return answer.verdict

    async def _ask(self, question: _Question) -> Verdict:
        self._meter.add(self._missed)
        began = self._clock()
        verdict = await question.ask()
        ends = question.context.identity.expires_at
        until = began + self._life if ends is None else min(began + self._life, ends)
        answer = Answer(verdict, began, until)
        content = encode(answer) if until > self._clock() else None
        if content is not None:
            self._keep(question, answer, content)
            if self._far is not None:
                self._far.put(question.digest, content, until - began)
        return verdict

    def _keep(self, question: _Question, answer: Answer, content: bytes) -> None:
        """Keep an answer on the node; the worker's own memory is for what is asked for again, and is then told."""
        placed = self._slots.put(question.digest, content, self._clock(), answer.expires_at)
        if placed is None:
            self._meter.add(self._too_large)
            self._keep_nearby(question, answer, content, NOWHERE)
        elif placed.evicted:
            self._meter.add(self._evictions)
        self._meter.set(self._entries, self._slots.entries)

    def _keep_nearby(self, question: _Question, answer: Answer, content: bytes, place: int) -> None:
        size = size_of(question.packed, content)
        self._nearby.put(question.key, Kept(answer.verdict, answer.made_at, answer.expires_at, place, size))

    def forget(self) -> None:
        self._nearby.close()


def _is_timely(answer: Answer | Kept, now: float) -> bool:
    return answer.made_at - SKEW <= now < answer.expires_at
