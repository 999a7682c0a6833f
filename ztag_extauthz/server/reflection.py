"""gRPC server reflection, so that grpcurl and its like can ask without our protos."""

from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha.reflection import ReflectionServicer
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest

from ztag_extauthz.server import health
from ztag_extauthz.server.core import RpcError, Status
from ztag_extauthz.server.service import Dialogue

# The messages of v1 and v1alpha are the same on the wire.
_SERVICES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


def dialogues() -> dict[str, Dialogue]:
    """Return the methods of reflection. Raises `ImportError` without the extra `reflection`."""
    health.messages()
    servicer = ReflectionServicer(("envoy.service.auth.v3.Authorization", health.SERVICE, _SERVICES[1]))

    async def answer(message: bytes) -> list[bytes]:
        try:
            request = ServerReflectionRequest.FromString(message)
        except DecodeError as error:
            raise RpcError(Status.INVALID_ARGUMENT, "no ServerReflectionRequest") from error
        responses = servicer.ServerReflectionInfo(iter((request,)), None)  # type: ignore[arg-type] # it uses no context
        return [response.SerializeToString() for response in responses]

    return {f"/{service}/ServerReflectionInfo": answer for service in _SERVICES}
