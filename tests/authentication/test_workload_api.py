"""A real gRPC server at a UNIX socket that speaks the Workload API, as a SPIRE agent does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import ValidationError

from tests.authentication.parts import FOREVER, Clock, jwk, key_set, request, resources, token
from tests.authentication.svids import Mesh, encoded
from ztag_extauthz.authentication.jwt_svid import JwtSvid, JwtSvidSettings
from ztag_extauthz.authentication.mesh import MeshSettings
from ztag_extauthz.authentication.workload_api import split
from ztag_extauthz.errors import DeadlineError, UnavailableError
from ztag_extauthz.model import Deny, Identity, Peer
from ztag_extauthz.proto.ztag.spiffe import workload_pb2

MESH = "spiffe://mesh.example"
ALICE = f"{MESH}/ns/shop/sa/alice"
KEYS = key_set(jwk("ES256", use="jwt-svid"))
ROTATED = key_set(jwk("ES256", use="jwt-svid"), jwk("ES256", "-next", use="jwt-svid"))


class Agent:
    """Tells the bundles that it has, and again whenever they change."""

    def __init__(self, path: Path) -> None:
        self.address = f"unix://{path}"
        self.jwt: dict[str, bytes] = {}
        self.x509: dict[str, bytes] = {}
        self.asked: list[dict[str, str]] = []
        self.changed = asyncio.Condition()
        self._server: Any = None

    async def start(self) -> None:
        self._server = grpc.aio.server()
        methods = {"FetchJWTBundles": self._jwt, "FetchX509Bundles": self._x509}
        handlers: dict[str, Any] = {
            name: grpc.unary_stream_rpc_method_handler(
                method, response_serializer=lambda answer: answer.SerializeToString()
            )
            for name, method in methods.items()
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("SpiffeWorkloadAPI", handlers),))
        self._server.add_insecure_port(self.address)
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(None)

    async def tell(self, **bundles: Mapping[str, bytes]) -> None:
        async with self.changed:
            for name, told in bundles.items():
                setattr(self, name, told)
            self.changed.notify_all()

    async def _jwt(self, _: bytes, context: Any) -> AsyncIterator[Any]:
        async for _change in self._changes(context):
            yield workload_pb2.JWTBundlesResponse(bundles=self.jwt)

    async def _x509(self, _: bytes, context: Any) -> AsyncIterator[Any]:
        async for _change in self._changes(context):
            yield workload_pb2.X509BundlesResponse(bundles=self.x509)

    async def _changes(self, context: Any) -> AsyncIterator[None]:
        metadata = dict(context.invocation_metadata())
        self.asked.append(metadata)
        if metadata.get("workload.spiffe.io") != "true":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "security header missing")
        async with self.changed:
            while True:
                yield
                await self.changed.wait()


@pytest.fixture
def socket() -> Iterator[Path]:
    with TemporaryDirectory() as folder:  # a socket's path is short
        yield Path(folder) / "agent.sock"


@asynccontextmanager
async def started(component: Any) -> AsyncIterator[Any]:
    await component.start()
    try:
        yield component
    finally:
        await component.close()


@asynccontextmanager
async def agent_at(path: Path, **bundles: dict[str, bytes]) -> AsyncIterator[Agent]:
    agent = Agent(path)
    await agent.tell(**bundles)
    await agent.start()
    try:
        yield agent
    finally:
        await agent.stop()


def svids(path: Path, clock: Clock | None = None, **changes: Any) -> JwtSvid:
    bundle = {"workload_api": f"unix://{path}", **changes}
    document = {"kind": "jwt_svid", "trust_domain": "mesh.example", "audiences": ["mesh"], "bundle": bundle}
    return JwtSvidSettings.model_validate(document).build(resources(path.parent, clock))


def shown(name: str = "", subject: str = ALICE) -> Any:
    return request(f"Bearer {token('ES256', name, {'typ': 'JWT'}, sub=subject)}")


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await holds():  # noqa: ASYNC110 - what is awaited is another process's word
            await asyncio.sleep(0.02)


def test_jwt_svids_are_verified_with_what_the_agent_tells_and_keeps_telling(socket: Path) -> None:
    async def main() -> None:
        async with agent_at(socket, jwt={MESH: KEYS}) as agent, started(svids(socket)) as kind:
            found = await kind.authenticate(shown(), monotonic() + 30)
            assert isinstance(found, Identity), found
            assert found.subject == ALICE
            assert isinstance(await kind.authenticate(shown("-next"), FOREVER), Deny)
            await agent.tell(jwt={MESH: ROTATED})

            async def is_rotated() -> bool:
                return isinstance(await kind.authenticate(shown("-next"), FOREVER), Identity)

            await until(is_rotated)
            assert kind.readiness()[0].ready
            assert agent.asked[0]["workload.spiffe.io"] == "true"

    asyncio.run(main())


def test_keys_of_another_trust_domain_verify_nothing(socket: Path) -> None:
    async def main() -> None:
        async with agent_at(socket, jwt={"spiffe://partner.example": KEYS}), started(svids(socket)) as kind:
            with pytest.raises((UnavailableError, DeadlineError)):
                await kind.authenticate(shown(), monotonic() + 1)
            assert not kind.readiness()[0].ready

    asyncio.run(main())


@pytest.mark.parametrize("max_stale", [3600.0, 0.001])
def test_while_the_agent_is_away_the_last_keys_serve_as_long_as_they_may(socket: Path, max_stale: float) -> None:
    async def main() -> None:
        async with started(svids(socket, max_stale=max_stale)) as kind:
            async with agent_at(socket, jwt={MESH: KEYS}):
                assert isinstance(await kind.authenticate(shown(), monotonic() + 30), Identity)

            async def is_noticed() -> bool:
                return bool(kind.readiness()[0].detail)

            await until(is_noticed)
            if max_stale > 1:
                assert isinstance(await kind.authenticate(shown(subject=f"{ALICE}/2"), FOREVER), Identity)
            else:

                async def is_stale() -> bool:
                    return not kind.readiness()[0].ready

                await until(is_stale)
                with pytest.raises(UnavailableError):
                    await kind.authenticate(shown(subject=f"{ALICE}/2"), monotonic() + 0.05)
            async with agent_at(socket, jwt={MESH: ROTATED}):
                assert isinstance(await kind.authenticate(shown(), monotonic() + 30), Identity)

    asyncio.run(main())


def test_certificates_are_verified_with_the_authorities_that_the_agent_tells(socket: Path) -> None:
    mesh, stranger = Mesh("mesh.example"), Mesh("mesh.example")
    good, bad = mesh.issue(ALICE), stranger.issue(ALICE)

    def asked(leaf: bytes) -> Any:
        return replace(request(), source=Peer("10.0.0.1", 1, ALICE, certificate=encoded(leaf)))

    async def main() -> None:
        document = {"kind": "mesh", "trust_domains": ["mesh.example"], "workload_api": f"unix://{socket}"}
        kind = MeshSettings.model_validate(document).build(resources(socket.parent))
        with pytest.raises(UnavailableError):
            await kind.authenticate(asked(good), FOREVER)
        async with agent_at(socket, x509={MESH: stranger.der() + mesh.der()}) as agent, started(kind):

            async def is_ready() -> bool:
                return kind.readiness()[0].ready

            await until(is_ready)
            for leaf in (good, bad):
                assert isinstance(await kind.authenticate(asked(leaf), FOREVER), Identity)
            await agent.tell(x509={MESH: mesh.der()})

            async def is_refused() -> bool:
                return isinstance(await kind.authenticate(asked(bad), FOREVER), Deny)

            await until(is_refused)

    asyncio.run(main())


@pytest.mark.parametrize("told", [b"x", b"\x30", b"\x30\x05ab", b"\x30\x82\xff\xff", b"\x30\x00x"])
def test_what_is_no_row_of_certificates_is_refused(told: bytes) -> None:
    with pytest.raises(ValueError, match="certificate"):
        split(told)


@given(st.binary(max_size=60))
def test_whatever_an_agent_tells_is_split_or_refused(told: bytes) -> None:
    try:
        assert b"".join(split(told)) == told
    except ValueError:
        assert True


@pytest.mark.parametrize("bundle", [{}, {"workload_api": "127.0.0.1:8081"}, {"workload_api": "unix:///a", "file": "b"}])
def test_a_bundle_stands_in_one_place(bundle: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        JwtSvidSettings.model_validate(
            {"kind": "jwt_svid", "trust_domain": "mesh.example", "audiences": ["mesh"], "bundle": bundle}
        )
    if "file" in bundle:
        named = [{"trust_domain": "mesh.example", "file": "b"}]
        document = {"kind": "mesh", "trust_domains": ["mesh.example"], "workload_api": "unix:///a", "bundles": named}
        with pytest.raises(ValidationError, match="keep one of the two"):
            MeshSettings.model_validate(document)
