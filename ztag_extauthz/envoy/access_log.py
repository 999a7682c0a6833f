"""How requests ended, as Envoy tells it (`envoy.access_loggers.http_grpc`).

What an authorizer noted of a request travels in the answer's dynamic metadata under `ztag.KIND`, and comes back with
the request's entry in the log: by whichever Envoy, to whichever worker.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage
from google.protobuf.message import DecodeError

from ztag_extauthz.envoy import encoding
from ztag_extauthz.errors import MessageError
from ztag_extauthz.model import Ended

NOTE: Final = "ztag."
"""What a note's name in the metadata begins with."""
_FILTER = "envoy.filters.http.ext_authz"


def encoded(notes: Mapping[str, str]) -> bytes:
    """Return the entries of a `google.protobuf.Struct` that carry an answer's notes."""
    return b"".join(encoding.struct_entry(NOTE + kind, encoding.value(text)) for kind, text in notes.items())


def endings(message: bytes) -> Iterator[Ended]:
    """Yield what an encoded `StreamAccessLogsMessage` tells of requests with a note. Raises `MessageError`."""
    try:
        entries = StreamAccessLogsMessage.FromString(message).http_logs.log_entry
    except DecodeError as error:
        raise MessageError("the message is no envoy.service.accesslog.v3.StreamAccessLogsMessage") from error
    for entry in entries:
        metadata = entry.common_properties.metadata.filter_metadata
        if entry.common_properties.intermediate_log_entry or _FILTER not in metadata:
            continue
        for name, value in metadata[_FILTER].fields.items():
            if name.startswith(NOTE) and value.string_value:
                yield Ended(name.removeprefix(NOTE), value.string_value, entry.response.response_code.value)
