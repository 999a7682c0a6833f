from pathlib import Path

import pytest
from msgspec import Struct
from pydantic import SecretStr, TypeAdapter, ValidationError

from ztag_extauthz.errors import SettingsError
from ztag_extauthz.stores.seal import Seal, SealError, Secret, SharedSecret, derived_key


class Note(Struct, frozen=True, forbid_unknown_fields=True):
    text: str


SECRET = b"s" * 32
SEAL = Seal(SECRET, b"notes", Note)


def test_what_was_written_is_read() -> None:
    assert SEAL.read(SEAL.write(Note("a"))) == Note("a")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"x" * 100,
        Seal(b"t" * 32, b"notes", Note).write(Note("a")),
        Seal(SECRET, b"others", Note).write(Note("a")),
        SEAL.write(Note("a"))[:-1],
        SEAL.write(Note("a")).replace(b"a", b"b"),
        Seal(SECRET, b"notes", dict).write({"text": 1}),
        *(SEAL._tag(text) + text for text in (b"{" * 5, b'{"text":"\xff"}', b'{"text":' * 5000)),
    ],
)
def test_what_was_not_written_with_the_secret_is_refused(text: bytes) -> None:
    with pytest.raises(SealError):
        SEAL.read(text)


class Shared(SharedSecret):
    """Settings with a secret."""


@pytest.mark.parametrize("settings", [{}, {"secret": "s" * 32, "secret_file": "secret"}, {"secret": "short"}])
def test_a_shared_secret_is_said_once(settings: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Shared.model_validate(settings)


@pytest.mark.parametrize("text", [None, "short"])
def test_a_file_without_a_secret_is_a_mistake(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "secret").write_text(text)
    with pytest.raises(SettingsError, match=r"(?s)secret_file.*openssl rand"):
        Shared(secret_file="secret").key(tmp_path)


def test_a_secret_in_a_file_is_the_one_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s" * 32 + "\n")
    said = Shared.model_validate({"secret": "s" * 32})
    assert Shared(secret_file="secret").key(tmp_path) == said.key(tmp_path) == SECRET


def test_a_key_serves_one_purpose() -> None:
    assert derived_key(SECRET, b"one") != derived_key(SECRET, b"two")


def test_a_short_secret_is_refused() -> None:
    adapter: TypeAdapter[SecretStr] = TypeAdapter(Secret)
    assert adapter.validate_python("s" * 32).get_secret_value() == "s" * 32
    with pytest.raises(ValidationError):
        adapter.validate_python("s" * 31)
