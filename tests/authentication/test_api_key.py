import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from msgspec.structs import replace
from pydantic import ValidationError

from tests.authentication.parts import FOREVER, NOW, Clock, request, resources
from tests.stores.conftest import redis_server
from ztag_extauthz.authentication.api_key import ApiKey, ApiKeySettings
from ztag_extauthz.authentication.key_records import KeyRecord, KeyRecordError, KeySecret, decode, encode, make
from ztag_extauthz.authentication.key_store import KeyStore, open_store
from ztag_extauthz.errors import SettingsError, UnavailableError
from ztag_extauthz.model import Deny, Identity, Reason, Request

SECRET = "s" * 48


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as (port, _):
        yield f"redis://127.0.0.1:{port}"


class Rig:
    """Keys in a file or in a Redis, and who reads them."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        self.clock = Clock()
        (folder / "secret").write_text(SECRET)
        good = {"kind": "api_key", "secret_file": "secret"} | ({} if "redis" in changes else {"file": "keys"})
        self.settings = ApiKeySettings.model_validate(good | changes)
        self.store: KeyStore = open_store(self.settings, folder)

    def add(self, subject: str = "shop", *scopes: str, lifetime: float | None = 3600) -> str:
        key, record = make(self.store.secret, subject, scopes, self.clock(), lifetime)
        self.store.add(record, self.clock())
        return key

    def build(self) -> ApiKey:
        return self.settings.build(resources(self.folder, self.clock))

    def ask(self, *asked: Request | str, later: float = 0.0) -> list[Any]:
        async def all_in_turn() -> list[Any]:
            kind = self.build()
            answers = []
            for one in asked:
                shown = request(x_api_key=one) if isinstance(one, str) else one
                answers.append(await asyncio.gather(kind.authenticate(shown, FOREVER), return_exceptions=True))
                self.clock.now += later
            await kind.close()
            return [answer for (answer,) in answers]

        return asyncio.run(all_in_turn())


@pytest.fixture(params=["file", "redis"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    if request.param == "file":
        (tmp_path / "keys").touch()
        return Rig(tmp_path)
    url = request.getfixturevalue("redis_url")
    rig = Rig(tmp_path, redis={"url": url, "timeout": 2.0})
    for record in rig.store.records():
        rig.store.remove(record.id)
    return rig


def test_says_whose_key_it_is(rig: Rig) -> None:
    key = rig.add("shop", "read", "write")
    (found,) = rig.ask(key)
    assert isinstance(found, Identity)
    assert (found.subject, found.kind, found.scopes) == ("shop", "api_key", ("read", "write"))
    assert found.claims == {"key_id": key.split("_")[1]}
    assert found.expires_at == NOW + 3600


@pytest.mark.parametrize("change", [str.upper, lambda key: key[:-1], lambda key: key + "A", lambda key: key[5:], len])
def test_a_key_counts_as_a_whole(rig: Rig, change: Any) -> None:
    key = rig.add()
    (found,) = rig.ask(str(change(key)))
    assert isinstance(found, Deny)
    assert found.reason is Reason.INVALID_CREDENTIALS
    assert key not in str(found)


@pytest.mark.parametrize("value", ["x" * 257, "\u00e4" * 20, ""])
def test_anything_else_is_refused(rig: Rig, value: str) -> None:
    assert isinstance(rig.ask(value)[0], Deny)


def test_a_key_expires(rig: Rig) -> None:
    key = rig.add(lifetime=10)
    before, after = rig.ask(key, key, later=10)
    assert isinstance(before, Identity)
    assert isinstance(after, Deny)
    assert "expired" in after.detail


def test_a_key_may_live_for_ever(rig: Rig) -> None:
    (found,) = rig.ask(rig.add(lifetime=None))
    assert isinstance(found, Identity)
    assert found.expires_at is None


def test_two_keys_of_a_subject_live_at_the_same_time_and_no_third(rig: Rig) -> None:
    first, second = rig.add(), rig.add()
    with pytest.raises(KeyRecordError, match="revoke one of them first"):
        rig.add()
    rig.add("another")
    assert all(isinstance(found, Identity) for found in rig.ask(first, second))
    assert rig.store.remove(first.split("_")[1])
    assert not rig.store.remove(first.split("_")[1])
    assert [type(found) for found in rig.ask(first, second)] == [Deny, Identity]
    rig.add()


def test_an_expired_key_makes_room(rig: Rig) -> None:
    rig.add(lifetime=10)
    rig.add(lifetime=10)
    rig.clock.now += 10
    rig.add()


def test_never_6_neither_the_key_nor_what_it_is_found_by_is_shown(rig: Rig) -> None:
    key = rig.add()
    (record,) = rig.store.records()
    assert key not in encode(record)
    assert key.split("_", 2)[2] not in encode(record)


def test_s03_two_keys_are_refused(rig: Rig) -> None:
    key = rig.add()
    asked = replace(request(x_api_key=key), repeated=frozenset({"x-api-key"}))
    (found,) = rig.ask(asked)
    assert isinstance(found, Deny)
    assert found.reason is Reason.MALFORMED_REQUEST
    assert isinstance(rig.ask(f"{key},{key}")[0], Deny)


def test_a_scheme_in_authorization(tmp_path: Path) -> None:
    rig = Rig(tmp_path, header="Authorization", prefix="ApiKey")
    key = rig.add()
    found, other = rig.ask(request(f"apikey {key}"), request(f"Bearer {key}"))
    assert isinstance(found, Identity)
    assert other is None
    assert rig.build().challenge() == 'ApiKey realm="ztag"'


# records


@pytest.mark.parametrize(
    "change", [{"subject": "root"}, {"scopes": ("admin",)}, {"expires_at": None}, {"hash": "00" * 32}, {"seal": ""}]
)
def test_s26_a_changed_record_is_none(change: dict[str, Any]) -> None:
    secret = KeySecret(SECRET.encode())
    _, record = make(secret, "shop", (), NOW, 60)
    assert decode(encode(record), secret) == record
    with pytest.raises(KeyRecordError, match="changed"):
        decode(encode(structs.replace(record, **change)), secret)
    with pytest.raises(KeyRecordError, match="not made with this secret"):
        decode(encode(record), KeySecret(b"t" * 32))


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\xff", b'{"id":1}'])
def test_what_is_no_record_is_refused(text: bytes) -> None:
    with pytest.raises(KeyRecordError):
        decode(text, KeySecret(SECRET.encode()))


def test_a_changed_file_is_a_mistake_of_the_settings(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.add("shop")
    content = (tmp_path / "keys").read_text()
    (tmp_path / "keys").write_text(content.replace('"shop"', '"root"'))
    with pytest.raises(SettingsError, match="changed"):
        rig.build()


def test_keys_are_made_by_several_at_once(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    rig = Rig(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda number: rig.add(f"subject-{number}"), range(24)))
    assert all(isinstance(found, Identity) for found in rig.ask(*keys))


# Redis


def test_s26_a_record_of_redis_that_was_forged_or_moved_is_an_error(tmp_path: Path, redis_url: str) -> None:
    rig = Rig(tmp_path, redis={"url": redis_url, "timeout": 2.0})
    key = rig.add("victim")
    forged, record = make(KeySecret(b"x" * 32), "root", (), NOW, 60)
    mine = structs.replace(record, hash=rig.store.secret.digest(forged).hex())
    rig.store.add(mine, NOW)
    (found,) = rig.ask(forged)
    assert isinstance(found, UnavailableError)
    from redis import Redis

    with Redis.from_url(redis_url) as client:
        other = client.hget("ztag:api-keys", rig.store.secret.digest(key).hex())
        client.hset("ztag:api-keys", mine.hash, other)
        (moved,) = rig.ask(forged)
        client.delete("ztag:api-keys")
    assert isinstance(moved, UnavailableError)


@pytest.mark.parametrize("step", [1, -3600])
def test_a_revoked_key_is_refused_after_a_moment_and_where_the_clock_is_set_back(
    tmp_path: Path, redis_url: str, step: float
) -> None:
    rig = Rig(tmp_path, redis={"url": redis_url, "timeout": 2.0}, max_age=1.0)
    key = rig.add("revoked-soon")

    async def main() -> list[Any]:
        kind = rig.build()
        found: list[Any] = [await kind.authenticate(request(x_api_key=key), FOREVER)]
        await asyncio.to_thread(rig.store.remove, key.split("_")[1])
        found.append(await kind.authenticate(request(x_api_key=key), FOREVER))
        rig.clock.now += step
        found.append(await kind.authenticate(request(x_api_key=key), FOREVER))
        await kind.close()
        return found

    assert [type(one) for one in asyncio.run(main())] == [Identity, Identity, Deny]


def test_without_redis_a_key_is_an_error_not_a_guess(tmp_path: Path) -> None:
    rig = Rig(tmp_path, redis={"url": "redis://127.0.0.1:1"})
    with pytest.raises(KeyRecordError):
        rig.add()
    (found,) = rig.ask("ztag_00000000_x")
    assert isinstance(found, UnavailableError)


# settings and commands


@pytest.mark.parametrize(
    "change",
    [
        {"file": None},
        {"redis": {"url": "redis://127.0.0.1:1"}, "file": "keys"},
        {"header": "authorization"},
        {"secret_file": None},
    ],
)
def test_wrong_settings(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Rig(tmp_path, **{"file": "keys"} | change)


def test_a_short_secret_is_a_mistake(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.add()
    (tmp_path / "secret").write_text("short")
    with pytest.raises(SettingsError, match="32 bytes"):
        rig.build()


def test_the_commands(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from ztag_extauthz.cli import app

    (tmp_path / "policy.rego").write_text("package p\n\nallow := true\n")
    (tmp_path / "ztag.yaml").write_text(
        "authentication: [{kind: api_key, secret_file: secret, file: keys}]\n"
        "authorization: [{kind: rego, policies: [policy.rego], decision: p/allow}]\n"
    )

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["key", *arguments, "--config", str(tmp_path / "ztag.yaml")])

    made = run("create", "shop", "--scope", "read", "--expires", "12h")
    assert made.exit_code == 0
    key = made.stdout.strip()
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600
    listed = json.loads(run("list").stdout)
    assert listed["subject"] == "shop"
    assert listed["expires_at"] - listed["created_at"] == 12 * 3600
    assert listed.keys().isdisjoint({"hash", "seal"})
    assert run("create", "shop").exit_code == 0
    assert run("create", "shop").exit_code == 2
    assert run("revoke", key.split("_")[1]).exit_code == 0
    assert run("revoke", key.split("_")[1]).exit_code == 2
    for expires in ("", "0d", "12", "1y", "-1d", "x"):
        assert run("create", "other", "--expires", expires).exit_code == 2


def test_the_record_says_nothing_else() -> None:
    assert [field.name for field in structs.fields(KeyRecord)] == [
        "id",
        "hash",
        "subject",
        "scopes",
        "created_at",
        "expires_at",
        "seal",
    ]


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({}, "secret_file: FOLDER/secret: cannot be read: No such file or directory (ztag key create makes both"),
        ({"secret": "short"}, "secret_file: FOLDER/secret: the secret has fewer than 32 bytes (ztag"),
        ({"secret": SECRET}, "file: FOLDER/keys: cannot be read: No such file or directory (ztag"),
        ({"secret": SECRET, "keys": "\njunk\n"}, "file: FOLDER/keys:2: a record cannot be read: "),
    ],
)
def test_a_mistake_names_the_file_that_it_is_in_once(held: dict[str, str], message: str, tmp_path: Path) -> None:
    for name, text in held.items():
        (tmp_path / name).write_text(text)
    settings = ApiKeySettings.model_validate({"kind": "api_key", "secret_file": "secret", "file": "keys"})
    with pytest.raises(SettingsError) as caught:
        settings.build(resources(tmp_path, Clock()))
    assert str(caught.value).startswith(message.replace("FOLDER", str(tmp_path)))


@pytest.mark.parametrize(("subject", "scopes"), [("", ()), (" ", ()), ("shop", ("read write",)), ("shop", ("",))])
def test_a_key_for_nobody_or_with_two_scopes_in_one_is_refused(subject: str, scopes: tuple[str, ...]) -> None:
    with pytest.raises(KeyRecordError, match=r"subject is empty|no scope: '"):
        make(KeySecret(SECRET.encode()), subject, scopes, NOW, 60)
