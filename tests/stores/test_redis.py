"""Where Redis is: an address, or a folder as Secrets are mounted."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.stores.conftest import redis_server
from ztag_extauthz.errors import SettingsError, UnavailableError
from ztag_extauthz.stores.redis import RedisSettings, RedisStore, connect

ECHO = "return ARGV[1]"


def ask(settings: RedisSettings) -> Any:
    async def main() -> Any:
        store = RedisStore(settings, time.monotonic)
        try:
            return await store.run(ECHO, "0" * 40, [b"key"], ["said"])
        finally:
            await store.close()

    return asyncio.run(main())


def test_user_and_password_are_read_from_mounted_files(tmp_path: Path) -> None:
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    rules = ["--user", "default", "off", "--user", "ztag", "on", ">secret", "~*", "+@all"]
    with redis_server(tmp_path / "redis", *rules) as (port, _):
        (mounted / "url").write_text(f"redis://127.0.0.1:{port}\n")
        settings = RedisSettings(folder=str(mounted), timeout=5)
        with pytest.raises(UnavailableError, match=r"redis at 127.0.0.1:\d+: AuthenticationError"):
            ask(settings)
        (mounted / "username").write_text("ztag\n")
        (mounted / "password").write_text("secret\n")
        assert ask(settings) == b"said"


def test_an_authority_of_its_own_is_what_the_certificate_is_verified_with(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("rediss://redis.example:6379")
    assert RedisSettings(folder=str(tmp_path)).place() == ("rediss://redis.example:6379", {})
    (tmp_path / "ca.crt").write_text("…")
    assert RedisSettings(folder=str(tmp_path)).place()[1] == {"ssl_ca_certs": str(tmp_path / "ca.crt")}


@pytest.mark.parametrize("held", [None, "", "redis:6379", b"\xff"])
def test_a_folder_that_does_not_say_where_redis_is_is_a_mistake(tmp_path: Path, held: str | bytes | None) -> None:
    if held is not None:
        (tmp_path / "url").write_bytes(held.encode() if isinstance(held, str) else held)
    with pytest.raises(SettingsError, match=f"{tmp_path}/url: .*redis://"):
        ask(RedisSettings(folder=str(tmp_path)))


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "redis",
            "redis:6379",
            "http://redis:6379",
            "redis://",
            "redis://redis:99999",
            "redis://redis:x",
            "unix://",
        ),
        *("redis://[redis", "rediss://:pass/word@redis:6379"),
    ],
)
def test_an_address_that_is_none_is_refused_without_a_password(url: str) -> None:
    with pytest.raises(ValidationError, match="no address of a Redis\nwrite redis://host:6379, rediss://") as caught:
        RedisSettings.model_validate({"url": url})
    assert "pass/word" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://ztag:secret@redis:6380/1", "redis:6380"),
        ("rediss://redis", "redis:6379"),
        ("redis://:secret@[::1]", "[::1]:6379"),
        ("unix:///run/redis.sock?db=1", "/run/redis.sock"),
    ],
)
def test_messages_name_the_address_without_the_password(url: str, shown: str) -> None:
    assert RedisSettings.model_validate({"url": url}).shown() == shown


def test_an_address_that_goes_bad_in_its_folder_is_a_redis_that_is_down(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://redis")
    store = RedisStore(RedisSettings(folder=str(tmp_path), timeout=5), time.monotonic)
    (tmp_path / "url").write_text("http://:secret@redis")
    with pytest.raises(UnavailableError, match="ValueError: is no address of a Redis") as caught:
        asyncio.run(store.run(ECHO, "0" * 40, [b"key"], ["said"]))
    assert "secret" not in str(caught.value)


def test_a_redis_that_is_down_and_comes_back_is_told_once_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "ztag.redis")

    async def main() -> None:
        (tmp_path / "url").write_text("redis://ztag:secret@127.0.0.1:1")
        now = 0.0
        store = RedisStore(RedisSettings(folder=str(tmp_path), timeout=5), lambda: now, "limits of admission")
        for now in (0.0, 0.5, 2.0):  # noqa: B007 - the store's clock
            with pytest.raises(UnavailableError, match=r"redis at 127\.0\.0\.1:1: ConnectionError: "):
                await store.run(ECHO, "0" * 40, [b"key"], ["said"])
        with redis_server(tmp_path / "redis") as (port, _):
            store._client, now = connect(RedisSettings.model_validate({"url": f"redis://127.0.0.1:{port}"})), 9.0
            assert await store.run(ECHO, "0" * 40, [b"key"], ["said"]) == b"said"
            await store.close()

    asyncio.run(main())
    told = [record.getMessage() for record in caplog.records if record.name == "ztag.redis"]
    assert told[0].startswith("limits of admission: redis at 127.0.0.1:1: ConnectionError: ")
    assert told[1:] == ["limits of admission: redis at 127.0.0.1:1 is up"]


async def _greeted(port: int, *, cluster: bool) -> bool:
    store = RedisStore(
        RedisSettings.model_validate({"url": f"redis://127.0.0.1:{port}", "cluster": cluster}), lambda: 0.0
    )
    store.start()
    await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name() == "redis"])
    await store.close()
    return store._client is not None and not store.down


def test_a_redis_that_is_there_is_connected_to_at_the_start(redis: tuple[int, Any]) -> None:
    assert asyncio.run(_greeted(redis[0], cluster=False))


def test_so_is_a_cluster(redis_cluster: int) -> None:
    assert asyncio.run(_greeted(redis_cluster, cluster=True))


@pytest.mark.parametrize("given", [{}, {"url": "redis://a", "folder": "/a"}, {"folder": "a"}])
def test_where_it_is_has_to_be_said_once(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"either url or folder|no absolute path"):
        RedisSettings.model_validate(given)
