"""Where Redis is: an address, or a folder as Secrets are mounted."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.stores.conftest import redis_server
from ztag_extauthz.errors import UnavailableError
from ztag_extauthz.stores.redis import RedisSettings, RedisStore

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
        with pytest.raises(UnavailableError, match="redis: AuthenticationError"):
            ask(settings)
        (mounted / "username").write_text("ztag\n")
        (mounted / "password").write_text("secret\n")
        assert ask(settings) == b"said"


def test_an_authority_of_its_own_is_what_the_certificate_is_verified_with(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("rediss://redis.example:6379")
    assert RedisSettings(folder=str(tmp_path)).place() == ("rediss://redis.example:6379", {})
    (tmp_path / "ca.crt").write_text("…")
    assert RedisSettings(folder=str(tmp_path)).place()[1] == {"ssl_ca_certs": str(tmp_path / "ca.crt")}


def test_a_folder_that_is_not_there_is_a_redis_that_is_down(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="redis: FileNotFoundError"):
        ask(RedisSettings(folder=str(tmp_path / "missing")))


@pytest.mark.parametrize("given", [{}, {"url": "redis://a", "folder": "/a"}, {"folder": "a"}])
def test_where_it_is_has_to_be_said_once(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"either url or folder|no absolute path"):
        RedisSettings.model_validate(given)
