"""`ztag key`: API keys, made, listed and revoked."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ztag_extauthz.cli.common import DEFAULT_CONFIG, FAILED, ConfigOption, load_settings, telling_mistakes

if TYPE_CHECKING:
    from ztag_extauthz.authentication.api_key import ApiKeySettings
    from ztag_extauthz.authentication.key_store import KeyStore

SECONDS = {"m": 60, "h": 3600, "d": 86_400}

app = typer.Typer(help="API keys: make, list and revoke them.", no_args_is_help=True)


@app.command()
def create(
    subject: Annotated[str, typer.Argument(help="Whom the key stands for.")],
    config: ConfigOption = DEFAULT_CONFIG,
    scope: Annotated[list[str] | None, typer.Option(help="What it may do; may be repeated.")] = None,
    expires: Annotated[str, typer.Option(help="Its lifetime: 12h, 90d, never.")] = "90d",
) -> None:
    """Make a key and print it, once. A subject has two at most: the one in use, and the one that replaces it."""
    from time import time

    from ztag_extauthz.authentication.key_records import make

    with telling_mistakes():
        store = _store(config)
        key, record = make(store.secret, subject, tuple(scope or ()), time(), _lifetime(expires))
        store.add(record, time())
    print(f"key {record.id} for {subject}; it is not shown again", file=sys.stderr)
    print(key)


@app.command("list")
def list_keys(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Print every key's record as JSON, a line each: never the key."""
    from ztag_extauthz.authentication.key_records import as_json

    with telling_mistakes():
        for record in _store(config).records():
            print(as_json(record))


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="The key's id, the 8 characters after ztag_.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Forget a key."""
    with telling_mistakes():
        if not _store(config).remove(key):
            print(f"there is no key {key}", file=sys.stderr)
            raise typer.Exit(FAILED)


def _store(config: Path) -> "KeyStore":
    from ztag_extauthz.authentication.key_store import open_store

    return open_store(_section(config), config.parent)


def _section(config: Path) -> "ApiKeySettings":
    from ztag_extauthz.errors import Mistake, SettingsError

    for section in load_settings(config).authentication:
        if section.kind == "api_key":
            return section
    raise SettingsError((Mistake(str(config), "has no kind: api_key", "add it to authentication"),))


def _lifetime(text: str) -> float | None:
    """Return seconds of `12h`; None of `never`."""
    number, unit = text[:-1], text[-1:]
    if text == "never":
        return None
    if not (number.isascii() and number.isdecimal()) or int(number) == 0 or unit not in SECONDS:
        raise typer.BadParameter("write 30m, 12h, 90d or never", param_hint="--expires")
    return float(int(number) * SECONDS[unit])
