"""What a gRPC engine is to its worker."""

import logging
import socket
from abc import ABC, abstractmethod

from msgspec import Struct

from ztag_extauthz.server.core import RpcError, Status
from ztag_extauthz.server.peers import Peers
from ztag_extauthz.server.service import Service
from ztag_extauthz.server.sockets import MODE
from ztag_extauthz.settings import ServerSettings, TlsSettings

_LOG = logging.getLogger("ztag.server")


class Place(Struct, frozen=True):
    """Where an engine listens."""

    address: str
    """`host:port` or `unix:///path`, the port as the kernel gave it."""
    listener: socket.socket | None
    """The listening socket, for an engine that can take one over."""
    tls: TlsSettings | None
    mode: int = MODE
    """The permissions of a UNIX socket's file, for an engine that makes it."""


class Engine(ABC):
    """Serves the methods of a `Service` on one place."""

    def __init__(self, service: Service, place: Place, settings: ServerSettings) -> None:
        self.service = service
        self.place = place
        self.settings = settings
        self.peers = Peers(place.tls.allowed_clients if place.tls else ())

    @abstractmethod
    async def start(self) -> None:
        """Accept connections from now on. Raises `OSError` or `ValueError` where that is not possible."""

    @abstractmethod
    async def renew(self) -> None:
        """Read the TLS files again, for the connections that come; what was accepted stays.

        Raises `OSError` or `ValueError` where they cannot be used; then the old ones stay in force.
        """

    @abstractmethod
    async def stop(self) -> None:
        """Accept nothing more, tell the clients (GOAWAY), and return when the calls under way are answered.

        They have `drain_timeout`; what is not answered by then is cancelled.
        """


def internal(error: Exception) -> RpcError:
    """Return what a caller is told of an error that nobody foresaw; the log names its kind.

    Not its text, which may hold what the request held.
    """
    _LOG.error("%s while answering a call", type(error).__name__)
    return RpcError(Status.INTERNAL, "internal error")
