"""The listening sockets: bound by the supervisor, so that they outlive the workers that accept from them."""

import errno
import socket
import stat
from pathlib import Path

from msgspec import Struct

from ztag_extauthz.errors import ZtagError
from ztag_extauthz.settings.addresses import UNIX, join_address, split_address

_BACKLOG = 4096
_KEEPALIVE = {socket.TCP_KEEPIDLE: 60, socket.TCP_KEEPINTVL: 15, socket.TCP_KEEPCNT: 4}
"""A connection whose other end died is noticed after two minutes (seconds, seconds, probes)."""

_REMEDIES = {
    errno.EADDRINUSE: "end the process that listens there, perhaps another ztag, or name another address",
    errno.EADDRNOTAVAIL: "name an address of this machine: 0.0.0.0 is all of them",
}

MODE = 0o660
"""Of a UNIX socket's file."""


class AddressError(ZtagError):
    """An address cannot be listened on."""


class Bound(Struct, frozen=True):
    """An address that is ours."""

    address: str
    """`host:port` or `unix:///path`, the port as the kernel gave it."""
    socket: socket.socket | None
    """None where the engine itself will create the UNIX socket."""
    handed_over: bool
    """The workers accept from this socket; otherwise it only keeps the port reserved."""

    def close(self) -> None:
        """Stop listening; the UNIX socket's file goes too."""
        if self.socket:
            self.socket.close()
        if self.address.startswith(UNIX):
            Path(self.address.removeprefix(UNIX)).unlink(missing_ok=True)


def bind(address: str, *, handed_over: bool, mode: int = MODE) -> Bound:
    """Bind an address: to listen, or where an engine listens for itself, to keep the port for it.

    `mode` is for a UNIX socket's file, which nobody may open before it is set.
    Raises `AddressError`, which names the address and the reason.
    """
    try:
        if address.startswith(UNIX):
            return _bind_path(address, mode, handed_over=handed_over)
        return _bind_port(address, handed_over=handed_over)
    except OSError as error:
        remedy = f" ({_REMEDIES[error.errno]})" if error.errno in _REMEDIES else ""
        raise AddressError(f"cannot listen on {address}: {error.strerror or error}{remedy}") from error


def _bind_port(address: str, *, handed_over: bool) -> Bound:
    found = split_address(address)
    if found is None:
        raise AddressError(f"{address} is no host:port")
    family, kind, protocol, _, where = socket.getaddrinfo(*found, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if not handed_over:
            # grpcio listens for itself: the port is shared with sockets of our own user, and only those.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(where)
        if handed_over:
            _listen(bound)
    except OSError:
        bound.close()
        raise
    return Bound(join_address(*bound.getsockname()[:2]), bound, handed_over)


def _listen(bound: socket.socket) -> None:
    """Listen; the options go over to the connections that are accepted."""
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE.items():
        bound.setsockopt(socket.IPPROTO_TCP, option, value)
    bound.listen(_BACKLOG)
    bound.setblocking(False)  # noqa: FBT003 - socket's own signature


def _bind_path(address: str, mode: int, *, handed_over: bool) -> Bound:
    path = Path(address.removeprefix(UNIX))
    remove_stale(path)
    if not handed_over:
        return Bound(address, None, handed_over)
    bound = socket.socket(socket.AF_UNIX)
    try:
        # Nobody can connect before `listen`, whatever the umask left open till then.
        bound.bind(str(path))
        path.chmod(mode)
        bound.listen(_BACKLOG)
        bound.setblocking(False)  # noqa: FBT003 - socket's own signature
    except OSError:
        bound.close()
        raise
    return Bound(address, bound, handed_over)


def remove_stale(path: Path) -> None:
    """Remove the socket that a server which is no more left behind.

    Raises `AddressError` where the path is something else, or somebody listens there.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise AddressError(f"cannot listen on {UNIX}{path}: the path exists and is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) != errno.ECONNREFUSED:
            raise AddressError(f"cannot listen on {UNIX}{path}: another process listens there")
    path.unlink()
