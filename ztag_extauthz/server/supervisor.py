"""`ztag serve`: the process that holds the sockets, watches files and signals, and keeps the workers running.

    supervisor ─┬─ forkserver ─┬─ worker 0   first address
                │              └─ worker 1   second address
                └─ admin listener

It answers no check itself.
"""

import asyncio
import logging
import multiprocessing.forkserver
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ztag_extauthz.background import complain
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.hosts import is_loopback
from ztag_extauthz.meter import CELLS, Meter
from ztag_extauthz.server.admin import Admin
from ztag_extauthz.server.admin import server as admin_server
from ztag_extauthz.server.crew import PRELOADED, Crew, Member
from ztag_extauthz.server.engine import Place
from ztag_extauthz.server.kept import Keeper
from ztag_extauthz.server.messages import Drain
from ztag_extauthz.server.reload import Reloader
from ztag_extauthz.server.revocation_listener import RevocationListener
from ztag_extauthz.server.sockets import AddressError, Bound, bind
from ztag_extauthz.server.worker import configure_log
from ztag_extauthz.settings import Settings, insecure, load
from ztag_extauthz.settings.addresses import endpoints, split_address
from ztag_extauthz.stores.shared import SharedMemory, shared_memory

_LOG = logging.getLogger("ztag.server")

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_TRIES = 5
"""Deaths of a worker in a row that end a start."""
_ONE_SIGNAL = 1.0
"""Seconds in which signals count as one: `timeout` and terminals signal a process and its group."""
_AT_ONCE = 0.5
"""Seconds that workers have to end after they were killed."""


def run(config: Path, environment: Mapping[str, str]) -> int:
    """Serve until a signal says otherwise; return the exit code: 0 after a drain, 1 if cut short, 2 for mistakes."""
    configure_log()
    _start_forkserver()
    try:
        settings = load(config, environment)
        bounds = _bind_all(settings)
    except (SettingsError, AddressError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    try:
        with shared_memory(config=config) as memory:
            return asyncio.run(_Supervisor(config, environment, settings, bounds, memory).run())
    finally:
        for bound in bounds:
            bound.close()


def _start_forkserver() -> None:
    """Start the process that forks the workers, so that it imports what they need while we read the settings."""
    for number in _SIGNALS:
        # It inherits this: a signal to the process group must not take the workers' parent away.
        signal.signal(number, signal.SIG_IGN)
    # Each connection is a file; what is allowed by default is made for programs with few.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # systemd is told nothing: h2corn would report the admin listener as the service.
    os.environ.pop("NOTIFY_SOCKET", None)
    with_temporary_folder()
    multiprocessing.forkserver.set_forkserver_preload(list(PRELOADED))
    multiprocessing.forkserver.ensure_running()


def with_temporary_folder() -> None:
    """Give `multiprocessing` a place for its socket where nothing but shared memory can be written.

    That is so in a container whose root is read-only.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        tempfile.tempdir = "/dev/shm"  # noqa: S108 - `multiprocessing` makes a folder of its own in it


def _bind_all(settings: Settings) -> list[Bound]:
    """Bind every worker's address, then the others' in the order of the settings.

    Raises `AddressError`, and then none is bound.
    """
    listen, handed_over = settings.listen, settings.server.engine == "h2corn"
    wanted = [("listen.grpc", address, handed_over) for address in endpoints(listen.grpc, settings.server.workers)]
    wanted.append(("listen.admin", listen.admin, True))
    if listen.revocation:
        wanted.append(("listen.revocation", listen.revocation, True))
    bounds: list[Bound] = []
    for setting, address, ours in wanted:
        try:
            bounds.append(bind(address, handed_over=ours, mode=listen.mode))
        except AddressError as error:
            for bound in bounds:
                bound.close()
            raise AddressError(f"{settings.place(setting)}: {error}") from error
    return bounds


class _Supervisor:
    def __init__(
        self,
        config: Path,
        environment: Mapping[str, str],
        settings: Settings,
        bounds: Sequence[Bound],
        memory: SharedMemory,
    ) -> None:
        self._settings = settings
        self._config = config
        keeper = Keeper(memory.folder / "kept", config.resolve().parent)
        self._kept = keeper.copy(settings)
        workers = settings.server.workers
        grpc, self._admin_bound, others = bounds[:workers], bounds[workers], bounds[workers + 1 :]
        cells = [0.0] * CELLS
        tls = settings.listen.tls
        members = [
            Member(number, Place(bound.address, bound.socket if bound.handed_over else None, tls, settings.listen.mode))
            for number, bound in enumerate(grpc)
        ]
        self._crew = Crew(members, settings, config.resolve().parent, self._changed, memory)
        self._admin = Admin(members, cells, settings.server.engine, self._key_set, lambda: self._reloader.refused)
        own = Resources(config.resolve().parent, time.time, Meter(cells))
        self._revocations = [RevocationListener(bound, settings.listen, own) for bound in others]
        self._reloader = Reloader(config, environment, self._crew, own.meter, keeper, also=self._reloaded)
        self._over: asyncio.Event = asyncio.Event()
        self._ended_at = 0.0
        self._code = 0
        self._announced = False

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGHUP, self._reloader.request)
        _warn(self._settings)
        admin = admin_server(self._admin, self._admin_bound)
        serving = asyncio.create_task(admin.serve())
        self._crew.start()
        try:
            for listener in self._revocations:
                await listener.start(self._settings)
        except SettingsError as error:
            complain(str(error))
            self._code = 2
            self._over.set()
        background = [asyncio.create_task(work) for work in (self._reloader.run(), self._crew.watch())]
        await self._over.wait()
        for task in background:
            task.cancel()
        for listener in self._revocations:
            await listener.stop()
        await self._drain()
        admin.shutdown()
        await asyncio.wait({serving})
        _LOG.info("ended, exit code %d", self._code)
        return self._code

    async def _reloaded(self, settings: Settings) -> None:
        for listener in self._revocations:
            await listener.reload(settings)

    def _changed(self) -> None:
        """Say once that all workers accept; end where they cannot start under the settings."""
        members = self._crew.members
        if self._announced or self._over.is_set():
            return
        mistakes = [member.mistakes for member in members if member.mistakes]
        if mistakes:
            complain(mistakes[0])
            self._crew.ending = True
            self._code = 2
            self._over.set()
        elif any(member.failures >= _TRIES for member in members):
            _LOG.error("the workers do not start; see above")
            self._code = 1
            self._over.set()
        elif all(member.accepting for member in members):
            self._announced = True
            self._crew.kept = self._kept
            addresses = ",".join(member.place.address for member in members)
            sys.stdout.write(f"ready grpc={addresses} admin={self._admin_bound.address}\n")
            sys.stdout.flush()

    def _key_set(self) -> bytes | None:
        """Return the public keys of the assertions under the settings in force."""
        assertion = self._crew.settings.response.assertion
        if assertion is None:
            return None
        from ztag_extauthz.assertion.keys import key_set, read_keys  # noqa: PLC0415 - loads OpenSSL

        return key_set(read_keys(self._config.resolve().parent, assertion.keys))

    def _end(self) -> None:
        """Drain at the first signal, end at a second one; those that come with the first are the same."""
        if not self._over.is_set():
            self._ended_at = time.monotonic()
            self._over.set()
            return
        if time.monotonic() - self._ended_at < _ONE_SIGNAL:
            return
        _LOG.warning("a second signal: ending at once")
        self._code = 1
        self._crew.kill()

    async def _drain(self) -> None:
        server = self._settings.server
        self._admin.draining = self._crew.ending = True
        self._crew.send(Drain())
        if await self._crew.ended(server.drain_delay + server.drain_timeout + 2.0):
            return
        _LOG.error("workers did not end in time; killing them")
        self._code = 1
        self._crew.kill()
        await self._crew.ended(_AT_ONCE)


def _warn(settings: Settings) -> None:
    for choice in insecure(settings):
        _LOG.warning("insecure: %s is set", choice)
    admin = split_address(settings.listen.admin)
    if admin and not is_loopback(admin[0]):
        _LOG.warning("open: whoever reaches listen.admin (%s) may read metrics and readiness", settings.listen.admin)
