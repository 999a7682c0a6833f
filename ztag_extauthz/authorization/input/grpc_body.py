"""gRPC bodies, read with the descriptors of the operator's own protos."""

import struct
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import DecodeError

from ztag_extauthz.authorization.input.parse_error import ParseError
from ztag_extauthz.errors import Mistake, PolicyError
from ztag_extauthz.rego.documents import from_python

_PREFIX = struct.Struct(">BI")
_SETTING = "proto_descriptor"
_REMEDY = "make it with protoc --include_imports --descriptor_set_out"


class ProtoDescriptor:
    """The services of a `FileDescriptorSet`."""

    def __init__(self, content: bytes) -> None:
        """Raise `DecodeError`, `TypeError` or `KeyError` where the content is no complete FileDescriptorSet."""
        self._pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(content).file:
            self._pool.Add(file)
            self._pool.FindFileByName(file.name)

    @classmethod
    def load(cls, path: Path, where: str) -> "ProtoDescriptor":
        """Read a file; `where` names it in the `PolicyError` that is raised if it cannot be used."""
        try:
            return cls(path.read_bytes())
        except OSError as error:
            raise PolicyError((Mistake(where, f"cannot be read: {error.strerror}", setting=_SETTING),)) from error
        except (DecodeError, TypeError, KeyError) as error:
            raise PolicyError((Mistake(where, "is no complete FileDescriptorSet", _REMEDY, _SETTING),)) from error

    def parse(self, body: bytes, parsed_path: list[str]) -> tuple[Any, bool]:
        """Return the first message of a call in protojson's form, and whether it is cut.

        None for what is not understood: an empty or compressed body, an unknown method, a client stream.
        """
        if not body:
            return None, False
        if len(parsed_path) != 2:
            raise ParseError("invalid parsed path")
        if len(body) < _PREFIX.size:
            raise ParseError("less than 5 bytes")
        compressed, size = _PREFIX.unpack_from(body)
        if compressed:
            return None, False
        if size > len(body) - _PREFIX.size:
            return None, True
        return self._message(body[_PREFIX.size : _PREFIX.size + size], *parsed_path), False

    def _message(self, encoded: bytes, service: str, method: str) -> Any:
        try:
            called = self._pool.FindServiceByName(service).methods_by_name[method]
        except KeyError:
            return None
        if called.client_streaming:
            return None
        try:
            message = message_factory.GetMessageClass(called.input_type).FromString(encoded)
            return from_python(json_format.MessageToDict(message, descriptor_pool=self._pool))
        except (DecodeError, TypeError, ValueError, RecursionError):
            raise ParseError("the gRPC message cannot be read") from None
