import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from tests.authentication.parts import NOW, Clock, resources
from tests.stores.conftest import again, redis_server
from ztag_extauthz.errors import SettingsError, UnavailableError
from ztag_extauthz.model import Deny, Identity, Reason
from ztag_extauthz.revocation.entries import Revocation
from ztag_extauthz.revocation.journal import journal
from ztag_extauthz.revocation.register import Register
from ztag_extauthz.revocation.settings import RevocationSettings, Secrets

SECRET = "s" * 32
ISSUER = "https://issuer.example"
ANN = Identity("ann", ISSUER, "jwt", {"jti": "token-1", "sid": "session-1", "iat": int(NOW)}, NOW + 600)


def entry(kind: Any, value: str, **changes: Any) -> Revocation:
    """Over by the clock of the real Redis, which says what is."""
    return replace(Revocation(kind, ISSUER, value, NOW, time.time() + 3600), **changes)


class Rig:
    def __init__(self, port: int, **changes: Any) -> None:
        redis = {"url": f"redis://127.0.0.1:{port}", "timeout": 1.0, "retry_after": 0.05}
        self.settings = RevocationSettings.model_validate({"redis": redis, "secret": SECRET} | changes)
        self.clock = Clock()

    def replica(self) -> Register:
        return self.settings.build(resources(Path(), self.clock))

    async def revoke(self, *entries: Revocation) -> None:
        feed = journal(self.settings, Path())
        await feed.add(entries)
        await feed.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with redis_server(tmp_path / "redis") as (port, _):
        yield Rig(port)


def after(rig: Rig, *entries: Revocation) -> Register:
    """Return what a replica knows after these were revoked; its connection is closed."""
    register = rig.replica()

    async def main() -> None:
        await rig.revoke(*entries)
        await register.follower.catch_up()
        await register.close()

    asyncio.run(main())
    return register


@pytest.mark.parametrize(
    "one", [entry("token", "token-1"), entry("session", "session-1"), entry("subject", "ann"), entry("issuer", "")]
)
def test_s26_who_was_revoked_is_refused(rig: Rig, one: Revocation) -> None:
    refusal = after(rig, one).refuse(ANN)
    assert isinstance(refusal, Deny)
    assert refusal.reason is Reason.INVALID_CREDENTIALS
    assert 'error="invalid_token"' in refusal.headers[0][1]


@pytest.mark.parametrize(
    "one",
    [
        entry("token", "token-2"),
        entry("session", "token-1"),
        entry("subject", "bob"),
        entry("token", "token-1", issuer="https://other.example"),
        entry("subject", "ann", before=NOW - 1),
        entry("issuer", "", before=NOW - 1),
        entry("issuer", "", issuer="https://other.example"),
    ],
)
def test_nobody_else_is(rig: Rig, one: Revocation) -> None:
    assert after(rig, one).refuse(ANN) is None


def test_a_credential_that_does_not_say_when_it_began_is_meant(rig: Rig) -> None:
    key = Identity("shop", "", "api_key", {"key_id": "1"})
    assert after(rig, entry("subject", "shop", issuer="")).refuse(key) is not None


def test_what_is_not_known_is_an_error_not_a_yes(rig: Rig) -> None:
    with pytest.raises(UnavailableError):
        rig.replica().refuse(ANN)
    assert not rig.replica().readiness()[0].ready


def test_s26_an_entry_that_was_written_with_another_secret_does_not_count(rig: Rig) -> None:
    async def main() -> Register:
        stranger = Rig(0, secret="t" * 32)
        stranger.settings = rig.settings.model_copy(update={"secret": stranger.settings.secret})
        await stranger.revoke(entry("subject", "ann"))
        register = rig.replica()
        await register.follower.catch_up()
        await register.close()
        return register

    assert asyncio.run(main()).refuse(ANN) is None


def test_s26_a_redis_that_lost_everything_is_told_again(tmp_path: Path) -> None:
    async def main() -> None:
        with redis_server(tmp_path / "first") as (port, first):
            rig = Rig(port)
            replicas = [rig.replica(), rig.replica()]
            await rig.revoke(entry("subject", "ann"))
            for one in replicas:
                await one.follower.catch_up()
            first.kill()
            first.wait()
        for one in replicas:
            with pytest.raises(UnavailableError):
                await one.follower.catch_up()
            assert one.refuse(ANN) is not None  # what is known goes on to count
        with again(tmp_path / "second", port):
            await asyncio.sleep(0.1)
            for one in replicas:
                await one.follower.catch_up()
            new = rig.replica()
            await new.follower.catch_up()
            assert new.refuse(ANN) is not None
            await rig.revoke(entry("subject", "bob"))
            for one in (*replicas, new):
                await one.follower.catch_up()
                assert one.refuse(replace(ANN, subject="bob")) is not None
                await one.close()

    asyncio.run(main())


def test_silence_can_be_limited(rig: Rig) -> None:
    rig.settings = rig.settings.model_copy(update={"max_stale": 10.0})
    register = after(rig)
    assert register.refuse(ANN) is None
    for step in (11, -22):  # a clock that was set back does not tell how long nothing was heard
        rig.clock.now += step
        with pytest.raises(UnavailableError):
            register.refuse(ANN)


def test_what_is_over_is_forgotten_everywhere(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis's own clock says what is over."""
    monkeypatch.setattr("ztag_extauthz.stores.follower.SWEEP", 0.0)

    async def main() -> None:
        register = rig.replica()
        await rig.revoke(entry("subject", "ann", until=time.time() + 1.0))
        await register.follower.catch_up()
        assert register.refuse(ANN) is not None
        async with asyncio.timeout(10):
            while register.refuse(ANN):
                await register.follower.catch_up()
        new = rig.replica()
        await new.follower.catch_up()
        assert new.refuse(ANN) is None
        await register.close()
        await new.close()

    asyncio.run(main())


def test_the_background_keeps_up(rig: Rig) -> None:
    async def main() -> None:
        register = rig.replica()
        await register.start()
        while not register.readiness()[0].ready:  # noqa: ASYNC110 - what is waited for happens in Redis
            await asyncio.sleep(0.01)
        assert register.refuse(ANN) is None
        await rig.revoke(entry("subject", "ann"))
        while register.refuse(ANN) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await register.close()

    asyncio.run(asyncio.wait_for(main(), 10))


@pytest.mark.parametrize(
    "change",
    [
        {"secret": "short"},
        {"secret": None},
        {"secret_file": "too"},
        {"interval": 2},
        {"redis": None},
        {"remember": 0},
        {"operators": [{"name": "ann"}]},
        {"operators": [{"name": "ann", "token": SECRET, "token_file": "too"}]},
    ],
)
def test_wrong_settings(change: dict[str, Any]) -> None:
    good = {"redis": {"url": "redis://127.0.0.1:1"}, "secret": SECRET}
    with pytest.raises(ValidationError):
        RevocationSettings.model_validate(good | change)


def test_secrets_are_read_from_files_and_every_file_that_cannot_be_is_named(tmp_path: Path) -> None:
    operators = [{"name": "ann", "token_file": "ann"}, {"name": "bob", "token_file": "bob"}]
    given = {"redis": {"url": "redis://127.0.0.1:1"}, "secret_file": "secret", "operators": operators}
    settings = RevocationSettings.model_validate(given)
    assert set(settings.files()) == {"secret", "ann", "bob"}
    (tmp_path / "secret").write_text(SECRET)
    with pytest.raises(SettingsError) as raised:
        settings.secrets(tmp_path)
    assert [mistake.setting for mistake in raised.value.mistakes] == [f"operators[{n}].token_file" for n in range(2)]
    for name in ("ann", "bob"):
        (tmp_path / name).write_text(name * 20 + "\n")
    assert settings.secrets(tmp_path) == Secrets(SECRET.encode(), (b"ann" * 20, b"bob" * 20), ())
