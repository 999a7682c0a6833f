"""Bundles from the SPIFFE Workload API: an agent at a UNIX socket tells them, and tells them anew when they change.

While the agent is away the last ones serve, for `max_stale` seconds at most; it is asked again after a growing pause.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from ztag_extauthz.authentication import spiffe
from ztag_extauthz.authentication.key_source import KeySource
from ztag_extauthz.component import Readiness, Resources, cancelled
from ztag_extauthz.errors import DeadlineError, UnavailableError

if TYPE_CHECKING:
    from ztag_extauthz.authentication.jose.key_set import KeySet
    from ztag_extauthz.authentication.svid import Bundles, Svid

LOG = logging.getLogger("ztag.keys")
ADDRESS = r"^unix:///.+"
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds between two attempts."""
# Without it an agent refuses: a browser that was tricked into asking cannot send it (SPIFFE Workload Endpoint 5).
_METADATA = (("workload.spiffe.io", "true"),)


class Subscription:
    """One stream of bundles, kept up."""

    def __init__(self, name: str, address: str, method: str, take: Callable[[Mapping[str, bytes]], None]) -> None:
        """`take` gets each answer's bundles, by SPIFFE id of the trust domain; it may raise `ValueError`."""
        self.name = name
        self.why = "not asked yet"
        self.heard_at = float("-inf")
        """`time.monotonic` until which the stream is known to have been there."""
        self._address = address
        self._method = method
        self._take = take
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._loop = asyncio.create_task(self._follow(), name=self.name)

    async def close(self) -> None:
        await cancelled(self._loop)

    @property
    def silence(self) -> float:
        """Seconds since the agent was last there; 0 while it is."""
        return 0.0 if not self.why else monotonic() - self.heard_at

    async def _follow(self) -> None:
        import grpc.aio  # noqa: PLC0415 - heavy, and an extra

        pause = FIRST_PAUSE
        while True:
            try:
                async with grpc.aio.insecure_channel(self._address) as channel:
                    async for response in self._stream(channel):
                        self._take(response.bundles)
                        self.why, pause = "", FIRST_PAUSE
                why = "the agent ended the stream"
            except grpc.aio.AioRpcError as error:
                why = f"the agent does not answer: {error.code().name}"
            except ValueError as error:
                why = f"the agent's bundles cannot be used: {error}"
            self._miss(why)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _stream(self, channel: Any) -> Any:
        from ztag_extauthz.proto.ztag.spiffe import workload_pb2  # noqa: PLC0415

        x509 = self._method == "FetchX509Bundles"
        response = workload_pb2.X509BundlesResponse if x509 else workload_pb2.JWTBundlesResponse
        call = channel.unary_stream(
            f"/SpiffeWorkloadAPI/{self._method}", request_serializer=bytes, response_deserializer=response.FromString
        )
        return call(b"", metadata=_METADATA)

    def _miss(self, why: str) -> None:
        if not self.why:
            self.heard_at = monotonic()
            LOG.warning("%s: %s", self.name, why)
        self.why = why


class WorkloadKeys(KeySource):
    """The keys of one trust domain that sign JWT-SVIDs."""

    def __init__(
        self, trust_domain: str, address: str, read: "Callable[[bytes], KeySet]", max_stale: float, resources: Resources
    ) -> None:
        """`read` may raise `KeySetError`, `max_stale` in seconds."""
        self._id = f"{spiffe.SCHEME}{trust_domain}"
        self._read = read
        self._max_stale = max_stale
        self._clock = resources.clock
        self._updated_at = 0.0
        self._there = asyncio.Event()
        self._subscription = Subscription(f"keys of {self._id}", address, "FetchJWTBundles", self._take)

    async def start(self) -> None:
        await self._subscription.start()

    async def close(self) -> None:
        await self._subscription.close()

    async def first(self, deadline: float) -> "KeySet":
        self._drop_stale()
        if self.keys is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._there.wait(), max(0.0, deadline - monotonic()))
        if self.keys is None and self._subscription.why:
            raise UnavailableError(f"{self._subscription.name}: {self._subscription.why}")
        if self.keys is None:
            raise DeadlineError(f"{self._subscription.name}: the agent does not tell them in time")
        return self.keys

    async def renewed(self, deadline: float) -> None:
        """Wait for nothing: the agent tells by itself when keys change."""

    def readiness(self) -> Readiness:
        self._drop_stale()
        return Readiness(self._subscription.name, self.keys is not None, self._subscription.why, self._updated_at)

    def _take(self, bundles: Mapping[str, bytes]) -> None:
        from ztag_extauthz.authentication.jose.key_set import KeySetError  # noqa: PLC0415

        document = bundles.get(self._id)
        if document is None:
            raise ValueError("this trust domain is not among them")
        try:
            if self.keys is None or self.keys.document != document:
                self.keys = self._read(document)
        except KeySetError as error:
            raise ValueError(str(error)) from error
        self._updated_at = self._clock()
        self._there.set()

    def _drop_stale(self) -> None:
        if self.keys is not None and self._subscription.silence > self._max_stale:
            self.keys = None
            self._there.clear()


class WorkloadBundles:
    """The X.509 authorities of several trust domains, as `Bundles` of what the agent told last."""

    def __init__(
        self, trust_domains: Sequence[str], address: str, max_stale: float, clock: Callable[[], float]
    ) -> None:
        """`max_stale` in seconds, `clock` in Unix seconds."""
        self._trust_domains = trust_domains
        self._max_stale = max_stale
        self._clock = clock
        self._updated_at = 0.0
        self._bundles: Bundles | None = None
        self.revision = 0
        """Of what the agent told last."""
        self._subscription = Subscription("bundles of the Workload API", address, "FetchX509Bundles", self._take)
        self.start, self.close = self._subscription.start, self._subscription.close

    def check(self, svid: "Svid", certificates: tuple[bytes, ...], now: float) -> None:
        """See `Bundles.check`. Raises `UnavailableError` besides."""
        if self._bundles is None or self._subscription.silence > self._max_stale:
            raise UnavailableError(f"{self._subscription.name}: {self._subscription.why or 'not told yet'}")
        self._bundles.check(svid, certificates, now)

    def readiness(self) -> Readiness:
        there = self._bundles is not None and self._subscription.silence <= self._max_stale
        return Readiness(self._subscription.name, there, self._subscription.why, self._updated_at)

    def _take(self, bundles: Mapping[str, bytes]) -> None:
        from ztag_extauthz.authentication.svid import Bundles  # noqa: PLC0415 - loads OpenSSL

        named = {domain: bundles.get(f"{spiffe.SCHEME}{domain}", b"") for domain in self._trust_domains}
        # One that is not told is one that the agent is not federated with any more: nobody vouches for its workloads.
        self._bundles = Bundles({domain: split(told) for domain, told in named.items() if told})
        self.revision += 1
        self._updated_at = self._clock()


def split(certificates: bytes) -> list[bytes]:
    """Return certificates (DER) that stand one behind the other. Raises `ValueError`."""
    found = []
    while certificates:
        if len(certificates) < 2 or certificates[0] != 0x30:
            raise ValueError("what is no certificate stands among the authorities")
        size, begin = certificates[1], 2
        if size & 0x80:
            begin += size & 0x7F
            size = int.from_bytes(certificates[2:begin])
        if begin + size > len(certificates):
            raise ValueError("an authority's certificate breaks off")
        found.append(certificates[: begin + size])
        certificates = certificates[begin + size :]
    return found
