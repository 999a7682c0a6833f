"""`ztag forget`: have answers made anew that are remembered, because what they rest on has changed."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ztag_extauthz.cli.common import DEFAULT_CONFIG, ConfigOption, load_settings, sections_of, tell, telling_mistakes

if TYPE_CHECKING:
    from ztag_extauthz.authorization.cache.settings import CacheRedisSettings

app = typer.Typer(
    help="Have remembered answers made anew, in all workers (with cache.redis: of all replicas) within a second.",
    no_args_is_help=True,
)


@app.command()
def subject(
    issuer: Annotated[str, typer.Argument(help="Who issued it: iss of the tokens, spiffe://<trust domain>.")],
    name: Annotated[str, typer.Argument(metavar="SUBJECT", help="Whose answers.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Forget the answers to a subject."""
    from ztag_extauthz.authorization.cache import tags

    _forget(tags.subject(issuer, name), config)


@app.command()
def tenant(
    name: Annotated[str, typer.Argument(metavar="TENANT", help="The value of cache.tenant_claim.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Forget the answers to everybody of a tenant."""
    from ztag_extauthz.authorization.cache import tags

    _forget(tags.tenant(name), config)


@app.command()
def resource(
    place: Annotated[str, typer.Argument(metavar="HOST/PATH", help="As clients write it, without the query.")],
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Forget the answers about one resource."""
    from ztag_extauthz.authorization.cache import tags

    host, slash, path = place.partition("/")
    if not host or not slash or "?" in path or "//" in place:
        raise typer.BadParameter("write it like shop.example/orders/1: no scheme, no query")
    _forget(tags.resource(host, slash + path), config)


@app.command("all")
def everything(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Forget every answer."""
    from ztag_extauthz.authorization.cache.tags import ALL

    _forget(ALL, config)


def _forget(tag: str, config: Path) -> None:
    from ztag_extauthz.authorization.cache.settings import CacheSettings
    from ztag_extauthz.errors import Mistake, SettingsError

    with telling_mistakes():
        caches = list(sections_of(load_settings(config), CacheSettings))
        if not caches:
            raise SettingsError((Mistake(str(config), "no policy has a cache: nothing is remembered"),))
        for redis in {cache.redis for cache in caches}:
            if redis is None:
                _tell_node(config, tag)
            else:
                _tell_replicas(redis, config.resolve().parent, tag)
    print(f"forgotten: {tag}", file=sys.stderr)


def _tell_replicas(settings: "CacheRedisSettings", folder: Path, tag: str) -> None:
    from ztag_extauthz.authorization.cache.invalidation import Invalidation, journal

    asyncio.run(tell(journal(settings, folder), lambda now: Invalidation(tag, now)))


def _tell_node(config: Path, tag: str) -> None:
    from time import time

    from ztag_extauthz.authorization.cache.invalidation import BLOCK, SIZE, Invalidation, NodeJournal
    from ztag_extauthz.errors import Mistake, SettingsError
    from ztag_extauthz.stores.shared import of_servers

    servers = of_servers(config)
    if not servers:
        remedy = "say so as the user that serves, on its node, or share answers over cache.redis"
        raise SettingsError((Mistake(str(config), "no server of yours runs under it here", remedy),))
    for memory in servers:
        told = NodeJournal(memory(BLOCK, SIZE), memory.lock)
        asyncio.run(told.add((Invalidation(tag, time()),)))
