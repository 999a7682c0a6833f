import asyncio

import pytest

from ztag_extauthz.server.core import RpcError, Status
from ztag_extauthz.server.health import CHECKED, Health, Serving, messages


def ask(service: str) -> bytes:
    return bytes(messages()[0](service=service).SerializeToString())


def told(message: bytes) -> Serving:
    return Serving(messages()[1].FromString(message).status)


def test_not_serving_until_somebody_says_so() -> None:
    async def main() -> None:
        health = Health()
        for service in CHECKED:
            assert told(await health.check(ask(service), 0.0)) is Serving.NOT_SERVING
        health.set(Serving.SERVING)
        for service in CHECKED:
            assert told(await health.check(ask(service), 0.0)) is Serving.SERVING

    asyncio.run(main())


def test_an_unknown_service_is_not_found() -> None:
    async def main() -> None:
        with pytest.raises(RpcError) as caught:
            await Health().check(ask("other"), 0.0)
        assert caught.value.status is Status.NOT_FOUND

    asyncio.run(main())


def test_every_watcher_hears_every_change_once() -> None:
    async def main() -> None:
        health = Health()
        watchers = [health.watch(ask("")) for _ in range(3)]
        for status in (Serving.NOT_SERVING, Serving.SERVING, Serving.NOT_SERVING):
            health.set(status)
            assert [told(await anext(watcher)) for watcher in watchers] == [status] * 3
        health.set(Serving.NOT_SERVING)
        health.close()
        for watcher in watchers:
            with pytest.raises(RpcError) as caught:
                await anext(watcher)
            assert caught.value.status is Status.UNAVAILABLE

    asyncio.run(main())


def test_the_description_is_the_protocols() -> None:
    assert messages()[0].DESCRIPTOR.full_name == "grpc.health.v1.HealthCheckRequest"
    assert messages()[1].DESCRIPTOR.enum_types_by_name["ServingStatus"].values_by_name["SERVICE_UNKNOWN"].number == 3
