"""The gRPC engine on grpcio's asyncio server: the reference implementation.

It takes no socket over, so it listens on the port that the supervisor reserved (SO_REUSEPORT) or at the path itself.
gRPC's own layer is in grpcio; two things it does differently from the other engine: it does not look at the content
type, and it leaves a stream that ends within a message to the client's deadline.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn, TypeAlias

import grpc

from ztag_extauthz.server.core import RpcError
from ztag_extauthz.server.engine import Engine, internal
from ztag_extauthz.server.framing import allowance
from ztag_extauthz.server.service import Dialogue, Streaming, Unary
from ztag_extauthz.server.tls import why_not
from ztag_extauthz.settings import TlsSettings

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_CODES = {code.value[0]: code for code in grpc.StatusCode}
_CERTIFICATE = "x509_pem_cert"


class Grpcio(Engine):
    """One grpc.aio server."""

    _server: "grpc.aio.Server"
    _certificates: "grpc.ServerCertificateConfiguration"

    async def start(self) -> None:
        """Accept connections from now on."""
        self._server = grpc.aio.server(options=_options(self.settings.max_message_bytes))
        self._server.add_generic_rpc_handlers((_Handlers(self),))
        address = self.place.address.replace("unix://", "unix:")
        if self.place.tls:
            self._server.add_secure_port(address, self._credentials(self.place.tls))
        else:
            # grpcio listens at once: the socket's file must be made with its permissions.
            before = os.umask(0o777 & ~self.place.mode)
            try:
                self._server.add_insecure_port(address)
            finally:
                os.umask(before)
        await self._server.start()

    async def renew(self) -> None:
        """Use the new certificates for the connections that come."""
        if self.place.tls:
            self._certificates = _read(self.place.tls)

    async def stop(self) -> None:
        """Stop accepting, send GOAWAY, and wait for the calls under way."""
        await self._server.stop(self.settings.drain_timeout)

    def _credentials(self, tls: TlsSettings) -> grpc.ServerCredentials:
        self._certificates = _read(tls)
        return grpc.dynamic_ssl_server_credentials(
            self._certificates, lambda: self._certificates, require_client_authentication=tls.client_ca is not None
        )


def _options(max_message_bytes: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.so_reuseport", 1),
        # An Envoy that pings an idle connection does what its operator told it.
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.max_metadata_size", 64 * 1024),
    ]


def _read(tls: TlsSettings) -> "grpc.ServerCertificateConfiguration":
    if mistake := why_not(tls):
        # grpcio would only refuse the connections that come.
        raise ValueError(mistake)
    pair = (Path(tls.key).read_bytes(), Path(tls.certificate).read_bytes())
    return grpc.ssl_server_certificate_configuration(
        [pair], root_certificates=Path(tls.client_ca).read_bytes() if tls.client_ca else None
    )


class _Handlers(grpc.GenericRpcHandler):
    """The methods of the service as grpcio wants them: bytes without a serializer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._handlers: dict[str, Any] = {}
        for path, unary in engine.service.unary.items():
            self._handlers[path] = grpc.unary_unary_rpc_method_handler(self._unary(unary))
        for path, streaming in engine.service.streaming.items():
            self._handlers[path] = grpc.unary_stream_rpc_method_handler(self._streaming(streaming))
        for path, dialogue in engine.service.dialogues.items():
            self._handlers[path] = grpc.stream_stream_rpc_method_handler(self._dialogue(dialogue))

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return self._handlers.get(handler_call_details.method)

    def _unary(self, method: Unary) -> Callable[[bytes, Context], Awaitable[bytes]]:
        peers, default = self._engine.peers, self._engine.settings.default_deadline

        async def answer(message: bytes, context: Context) -> bytes:
            try:
                if not peers.everybody:
                    peers.admit(_certificate(context))
                left: float | None = context.time_remaining()  # None without a deadline, whatever the stubs say
                deadline = monotonic() + (default if left is None else allowance(left))
                return await method(message, deadline)
            except RpcError as error:
                await _abort(context, error)
            except Exception as error:  # noqa: BLE001 - an error must reach Envoy as one
                await _abort(context, internal(error))

        return answer

    def _streaming(self, method: Streaming) -> Callable[[bytes, Context], AsyncIterator[bytes]]:
        async def answer(message: bytes, context: Context) -> AsyncIterator[bytes]:
            try:
                self._admit(context)
                async for item in method(message):
                    yield item
            except RpcError as error:
                await _abort(context, error)

        return answer

    def _dialogue(self, method: Dialogue) -> Callable[[AsyncIterator[bytes], Context], AsyncIterator[bytes]]:
        async def answer(messages: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
            try:
                self._admit(context)
                async for message in messages:
                    for item in await method(message):
                        yield item
            except RpcError as error:
                await _abort(context, error)

        return answer

    def _admit(self, context: Context) -> None:
        if not self._engine.peers.everybody:
            self._engine.peers.admit(_certificate(context))


def _certificate(context: Context) -> str | None:
    found = context.auth_context().get(_CERTIFICATE)
    return next(iter(found)).decode() if found else None


async def _abort(context: Context, error: RpcError) -> NoReturn:
    await context.abort(_CODES[error.status], error.message)
    raise AssertionError("abort does not return")
