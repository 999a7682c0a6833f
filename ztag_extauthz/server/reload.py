"""Reloads: at SIGHUP, and when a file of the configuration has changed. A bad file keeps what is in force."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from ztag_extauthz.errors import SettingsError
from ztag_extauthz.meter import Meter
from ztag_extauthz.server.crew import Crew
from ztag_extauthz.server.kept import Keeper
from ztag_extauthz.server.messages import Renew
from ztag_extauthz.server.tls import digest, why_not
from ztag_extauthz.server.watch import Fingerprint, fingerprint
from ztag_extauthz.settings import Settings, load

_LOG = logging.getLogger("ztag.server")

_POLL = 0.5
"""Seconds between two looks at the files. They have to look the same twice: who writes several is let finish."""
_NAMED = 5
"""Changed files that the log names."""
_BETWEEN = 0.5
"""Seconds between two workers that renew their certificates."""
_TURN = 5.0
"""Seconds that a reload has before a newer one may take its place: it may be waiting for keys that do not come."""


class Reloader:
    """Puts new settings in force, one reload after the other."""

    def __init__(  # noqa: PLR0913 - what a reload changes
        self,
        config: Path,
        environment: Mapping[str, str],
        crew: Crew,
        meter: Meter,
        keeper: Keeper,
        *,
        also: Callable[[Settings], Awaitable[None]],
    ) -> None:
        """`also` is told of the settings that the workers have changed over to."""
        self._config = config
        self._environment = environment
        self._crew = crew
        self._meter = meter
        self._keeper = keeper
        self._also = also
        self.refused = ""
        """What is wrong with what is on the disk; "" where that is in force."""
        self._revision = 0
        self._requested = asyncio.Event()
        self._tls = digest(crew.settings.listen.tls)

    def request(self) -> None:
        """Reload as soon as the reload under way is done; many requests may become one."""
        self._requested.set()

    async def run(self) -> None:
        """Reload whenever that is requested or files change; until cancelled."""
        watching = asyncio.create_task(self._watch())
        try:
            while True:
                await self._requested.wait()
                self._requested.clear()
                await self._take_turn()
        finally:
            watching.cancel()

    async def _take_turn(self) -> None:
        reload = asyncio.create_task(self._reload())
        newer = asyncio.create_task(self._requested.wait())
        try:
            await asyncio.wait({reload}, timeout=_TURN)
            await asyncio.wait({reload, newer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            newer.cancel()
            reload.cancel()

    async def _watch(self) -> None:
        seen = before = await self._look()
        while True:
            await asyncio.sleep(_POLL)
            now = await self._look()
            if now == before and now != seen:
                changed = sorted(path for path in now.keys() | seen.keys() if now.get(path) != seen.get(path))
                seen = now
                _LOG.info("changed: %s%s", ", ".join(changed[:_NAMED]), " …" if len(changed) > _NAMED else "")
                self.request()
            before = now

    async def _look(self) -> Fingerprint:
        folder = self._config.resolve().parent
        paths = [self._config, *(folder / name for name in self._crew.settings.files())]
        return await asyncio.to_thread(fingerprint, paths)

    async def _reload(self) -> None:
        try:
            mistakes = await self._change_over()
        except Exception as error:  # noqa: BLE001 - whatever it was, it is a reload that failed, and the next may not
            mistakes = f"{type(error).__name__}: {error}"
        if mistakes:
            _LOG.error("reload refused, the configuration in force stays:\n%s", mistakes)
        else:
            _LOG.info("reloaded")
        self.refused = mistakes
        self._meter.add(self._meter.series("ztag_reloads", "error" if mistakes else "ok"))
        self._meter.set(self._meter.series("ztag_configuration_refused"), float(bool(mistakes)))

    async def _change_over(self) -> str:
        try:
            settings = self._keep_fixed(load(self._config, self._environment))
        except SettingsError as error:
            return str(error)
        tls = settings.listen.tls
        for files in (tls, settings.listen.revocation_tls):
            if files and (mistake := why_not(files)):
                return mistake
        self._revision += 1
        kept = await asyncio.to_thread(self._keeper.copy, settings)
        mistakes = await self._crew.change_over(self._revision, settings, kept)
        if kept:
            await asyncio.to_thread(self._keeper.settle, accepted=not mistakes)
        if not mistakes and digest(tls) != self._tls:
            await self._renew(digest(tls))
        if not mistakes:
            await self._also(settings)
        return mistakes

    async def _renew(self, files: bytes) -> None:
        """Have one worker after the other take the new TLS files.

        A request that crosses a GOAWAY on its way is sent again by Envoy, and then to another worker.
        """
        self._tls = files
        for member in self._crew.members:
            member.send(Renew())
            await asyncio.sleep(_BETWEEN)

    def _keep_fixed(self, settings: Settings) -> Settings:
        """Keep the sections that a running server cannot change."""
        before = self._crew.settings
        for section in ("listen", "server"):
            if getattr(settings, section) != getattr(before, section):
                _LOG.warning("a change of %s needs a restart; the rest is reloaded", section)
        return settings.model_copy(update={"listen": before.listen, "server": before.server})
