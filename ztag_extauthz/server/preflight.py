"""Whether settings can be served: what they build, and what the listener needs of the machine."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from msgspec.structs import replace

from ztag_extauthz.component import Resources
from ztag_extauthz.errors import Mistake, MistakesError, SettingsError
from ztag_extauthz.server import tls
from ztag_extauthz.settings import Settings
from ztag_extauthz.settings.addresses import UNIX
from ztag_extauthz.wiring import Gateway, build


def build_to_serve(settings: Settings, resources: Resources) -> Gateway:
    """Build what the settings ask for. Raises `SettingsError` with its mistakes and those of the listener together."""
    mistakes = list(unservable(settings))
    try:
        gateway = build(settings, resources)
    except MistakesError as error:
        raise SettingsError((*mistakes, *error.mistakes)) from error
    if mistakes:
        raise SettingsError(tuple(mistakes))
    return gateway


def unservable(settings: Settings) -> Iterator[Mistake]:
    """Yield what keeps the listener from being opened; whether an address is free is seen when it is bound."""
    for mistake in _mistakes(settings):
        yield replace(mistake, setting=settings.place(mistake.setting))


def _mistakes(settings: Settings) -> Iterator[Mistake]:
    listen = settings.listen
    if listen.tls:
        yield from tls.mistakes(listen.tls)
    if listen.revocation_tls:
        yield from tls.mistakes(listen.revocation_tls, "listen.revocation_tls")
    folder = Path(listen.grpc.removeprefix(UNIX)).parent
    if listen.grpc.startswith(UNIX) and not folder.is_dir():
        yield Mistake(str(folder), "is no folder", "the socket is made in it", "listen.grpc")
    if settings.server.reflection and find_spec("grpc_reflection") is None:
        remedy = "in ztag's own folder: pip install '.[reflection]'"
        yield Mistake("", "needs the package grpcio-reflection", remedy, "server.reflection")
