"""`grpc.health.v1.Health`: SERVING from the first time that everything is ready until the drain.

It does not fall back to NOT_SERVING when a dependency fails later: every replica shares that dependency, and an Envoy
that takes all of them out has nobody left to ask. Source: gRPC health checking protocol (health-checking.md).
"""

import asyncio
from collections.abc import AsyncIterator
from enum import IntEnum
from functools import cache
from typing import Any

from ztag_extauthz.server.core import RpcError, Status

SERVICE = "grpc.health.v1.Health"
CHECKED = frozenset({"", "envoy.service.auth.v3.Authorization"})
"""Names that one may ask about; "" is the whole server."""


class Serving(IntEnum):
    """The protocol's `ServingStatus`."""

    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


@cache
def messages() -> tuple[Any, Any]:
    """Return the classes of HealthCheckRequest and HealthCheckResponse.

    They are made here, as two messages are no reason for a further dependency. Made once: reflection finds the
    service's description in the default pool.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # noqa: PLC0415

    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="grpc/health/v1/health.proto", package="grpc.health.v1")
    file.syntax = "proto3"
    request = file.message_type.add(name="HealthCheckRequest")
    request.field.add(name="service", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    response = file.message_type.add(name="HealthCheckResponse")
    status = response.enum_type.add(name="ServingStatus")
    status.value.add(name="UNKNOWN", number=0)
    for serving in Serving:
        status.value.add(name=serving.name, number=serving)
    response.field.add(
        name="status",
        number=1,
        type=field.TYPE_ENUM,
        label=field.LABEL_OPTIONAL,
        type_name=".grpc.health.v1.HealthCheckResponse.ServingStatus",
    )
    service = file.service.add(name="Health")
    types = {"input_type": ".grpc.health.v1.HealthCheckRequest", "output_type": ".grpc.health.v1.HealthCheckResponse"}
    service.method.add(name="Check", **types)
    service.method.add(name="Watch", server_streaming=True, **types)
    found = descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    types_by_name = found.message_types_by_name
    request_class = message_factory.GetMessageClass(types_by_name["HealthCheckRequest"])
    return request_class, message_factory.GetMessageClass(types_by_name["HealthCheckResponse"])


class Health:
    """The health of one worker."""

    def __init__(self) -> None:
        self._request, self._response = messages()
        self._status = Serving.NOT_SERVING
        self._over = False
        self._changed = asyncio.Event()

    def set(self, status: Serving) -> None:
        """Answer with this status from now on, and tell all who watch."""
        self._status = status
        self._wake()

    def close(self) -> None:
        """End all watching, so that it holds up no drain."""
        self._over = True
        self._wake()

    async def check(self, message: bytes, _deadline: float) -> bytes:
        """Answer `Check`. Raises `RpcError` NOT_FOUND for a service that we do not have."""
        if self._service(message) not in CHECKED:
            raise RpcError(Status.NOT_FOUND, "unknown service")
        return self._encode(self._status)

    async def watch(self, message: bytes) -> AsyncIterator[bytes]:
        """Answer `Watch`: the status now, and again whenever it changes; ends with UNAVAILABLE when we close."""
        known = self._service(message) in CHECKED
        told: Serving | None = None
        while True:
            changed = self._changed
            status = self._status if known else Serving.SERVICE_UNKNOWN
            if status != told:
                yield self._encode(status)
                told = status
            if self._over:
                raise RpcError(Status.UNAVAILABLE, "shutting down")
            await changed.wait()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _service(self, message: bytes) -> str:
        from google.protobuf.message import DecodeError  # noqa: PLC0415

        try:
            return str(self._request.FromString(message).service)
        except DecodeError as error:
            raise RpcError(Status.INVALID_ARGUMENT, "no HealthCheckRequest") from error

    def _encode(self, status: Serving) -> bytes:
        return bytes(self._response(status=status).SerializeToString())
