"""From the settings of `rego` to the engine that is asked."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from msgspec.structs import replace

from ztag_extauthz.authorization.bundle import files
from ztag_extauthz.authorization.bundle.archive import Verify
from ztag_extauthz.authorization.bundle.files import Bundle
from ztag_extauthz.authorization.bundle.settings import SigningSettings
from ztag_extauthz.authorization.bundle.source import PutInForce
from ztag_extauthz.authorization.engines.interface import PolicyEngine
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import Mistake, PolicyError, SettingsError
from ztag_extauthz.model import EMPTY

if TYPE_CHECKING:
    from ztag_extauthz.authorization.engines.embedded import Embedded
    from ztag_extauthz.authorization.rego import RegoSettings


Put: TypeAlias = Callable[[PolicyEngine], None]
"""Has an engine asked from now on. Raises `PolicyError`; then the one before goes on."""


class Engines:
    """Makes engines as the settings say; keeps what does not change with the policies."""

    def __init__(self, settings: "RegoSettings", resources: Resources) -> None:
        """Raise `SettingsError` where the files that the settings name cannot be used."""
        self._settings = settings
        self._folder = resources.folder
        url = "" if settings.bundle is None else settings.bundle.url
        self._name = PurePosixPath(urlsplit(url).path).name or "bundle"
        self._verify = None if settings.signing is None else _verifier(settings.signing, resources.folder)

    def engine(self) -> PolicyEngine:
        """Return the engine for what is in files. Raises `PolicyError` or `SettingsError`."""
        opa = self._settings.opa
        if opa is None:
            return self._embedded(self._read())
        if find_spec("aiohttp") is None:
            remedy = "in ztag's own folder: pip install '.[opa]'"
            raise SettingsError((Mistake("", "needs the package aiohttp", remedy, "engine"),))
        from ztag_extauthz.authorization.engines.opa import build  # noqa: PLC0415 - an extra

        loaded = self._read() if self._settings.policies else None
        with placed("policies"):
            return build(opa, loaded, self._settings.decision, self._folder)

    def load(self, content: bytes, current: PolicyEngine, put: Put) -> PutInForce:
        """Compile a fetched bundle; return what has `put` put it in force in place of `current`. Raises `PolicyError`.

        Where only the data is another, the engine in force goes on with that: it is to be called where that is asked.
        """
        from ztag_extauthz.authorization.engines.embedded import Embedded  # noqa: PLC0415 - heavy

        loaded = self._read({self._name: content})
        ours = current if isinstance(current, Embedded) and current.immediate() is not None else None
        if ours is not None and ours.modules == loaded.modules:
            return partial(_exchange, ours, loaded, put)
        return partial(_replace, ours, self._embedded(loaded), put)

    def _read(self, fetched: Mapping[str, bytes] = EMPTY) -> Bundle:
        with placed("bundle" if fetched else "policies"):
            return files.load(self._settings.policies, self._folder, verify=self._verify, fetched=fetched)

    def _embedded(self, loaded: Bundle) -> PolicyEngine:
        from ztag_extauthz.authorization.engines.embedded import Embedded  # noqa: PLC0415 - heavy

        with placed("policies"):
            hosts = frozenset(self._settings.http_hosts)
            return Embedded(loaded.modules, loaded.data, self._settings.decision, hosts, loaded.version)


def _exchange(ours: "Embedded", loaded: Bundle, put: Put) -> list[Any]:
    before = ours.exchange(loaded.data, loaded.version)
    put(ours)
    return before


def _replace(ours: "Embedded | None", engine: PolicyEngine, put: Put) -> list[Any]:
    put(engine)
    return [] if ours is None else ours.release()


def _verifier(signing: SigningSettings, folder: Path) -> Verify:
    from ztag_extauthz.authorization.bundle.signature import read_keys  # noqa: PLC0415 - loads OpenSSL

    return read_keys(signing, folder).verify


@contextmanager
def placed(setting: str) -> Iterator[None]:
    """Say of mistakes in policies which setting led there."""
    try:
        yield
    except PolicyError as error:
        found = tuple(replace(mistake, setting=mistake.setting or setting) for mistake in error.mistakes)
        raise type(error)(found) from error
