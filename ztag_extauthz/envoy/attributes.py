"""`input.attributes` as opa-envoy-plugin builds it (its envoyauth/protomap.go).

Rules: protojson's names; a field is there if it is populated (a message that is present, a oneof that is set, anything
else that is not its zero); enums and 64-bit integers are numbers; bytes are base64; a Timestamp and an Any are plain
objects; a Struct is the object that it stands for, with NaN and the infinities as strings.

Written out field by field: a generic walk over the descriptors takes several times as long.
"""

from base64 import b64encode
from math import isfinite, isnan
from typing import Any, TypeAlias

from envoy.config.core.v3.address_pb2 import Address, SocketAddress
from envoy.config.core.v3.base_pb2 import Metadata
from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from google.protobuf.struct_pb2 import Struct, Value

Object: TypeAlias = dict[str, Any]

_MAX_EXACT = 2.0**53
_MEMBERS = frozenset(
    {"source", "destination", "request", "contextExtensions", "metadataContext", "routeMetadataContext", "tlsSession"}
)


def to_input(attributes: AttributeContext, headers: Object | None = None, *names: str) -> Object:
    """Return a new `input.attributes`, or those of its members that are named; a JSON document.

    `headers` is `request.http.headers` where somebody has already copied it, which takes as long as all the rest.
    """
    result: Object = {}
    wanted = names or _MEMBERS
    if "source" in wanted and attributes.HasField("source"):
        result["source"] = _peer(attributes.source)
    if "destination" in wanted and attributes.HasField("destination"):
        result["destination"] = _peer(attributes.destination)
    if "request" in wanted and attributes.HasField("request"):
        result["request"] = _request(attributes.request, headers)
    if "contextExtensions" in wanted and attributes.context_extensions:
        result["contextExtensions"] = dict(attributes.context_extensions)
    if "metadataContext" in wanted and attributes.HasField("metadata_context"):
        result["metadataContext"] = _metadata(attributes.metadata_context)
    if "routeMetadataContext" in wanted and attributes.HasField("route_metadata_context"):
        result["routeMetadataContext"] = _metadata(attributes.route_metadata_context)
    if "tlsSession" in wanted and attributes.HasField("tls_session"):
        sni = attributes.tls_session.sni
        result["tlsSession"] = {"sni": sni} if sni else {}
    return result


def _populated(**values: Any) -> Object:
    return {name: value for name, value in values.items() if value}


def _peer(peer: AttributeContext.Peer) -> Object:
    result: Object = {"address": _address(peer.address)} if peer.HasField("address") else {}
    if peer.service:
        result["service"] = peer.service
    if peer.labels:
        result["labels"] = dict(peer.labels)
    if peer.principal:
        result["principal"] = peer.principal
    if peer.certificate:
        result["certificate"] = peer.certificate
    return result


def _address(address: Address) -> Object:
    match address.WhichOneof("address"):
        case "socket_address":
            return {"socketAddress": _socket_address(address.socket_address)}
        case "pipe":
            return {"pipe": _populated(path=address.pipe.path, mode=address.pipe.mode)}
        case "envoy_internal_address":
            internal = address.envoy_internal_address
            result = _populated(endpointId=internal.endpoint_id)
            if internal.HasField("server_listener_name"):
                result["serverListenerName"] = internal.server_listener_name
            return {"envoyInternalAddress": result}
        case _:
            return {}


def _socket_address(address: SocketAddress) -> Object:
    result: Object = {}
    if address.protocol:
        result["protocol"] = int(address.protocol)
    if address.address:
        result["address"] = address.address
    port = address.WhichOneof("port_specifier")
    if port == "port_value":
        result["portValue"] = address.port_value
    elif port == "named_port":
        result["namedPort"] = address.named_port
    if address.resolver_name:
        result["resolverName"] = address.resolver_name
    if address.ipv4_compat:
        result["ipv4Compat"] = True
    if address.network_namespace_filepath:
        result["networkNamespaceFilepath"] = address.network_namespace_filepath
    return result


def _request(request: AttributeContext.Request, headers: Object | None) -> Object:
    result: Object = {}
    if request.HasField("time"):
        result["time"] = _populated(seconds=request.time.seconds, nanos=request.time.nanos)
    if request.HasField("http"):
        result["http"] = _http(request.http, headers)
    return result


def _http(http: AttributeContext.HttpRequest, headers: Object | None) -> Object:
    result = _populated(
        id=http.id,
        method=http.method,
        path=http.path,
        host=http.host,
        scheme=http.scheme,
        query=http.query,
        fragment=http.fragment,
        size=http.size,
        protocol=http.protocol,
        body=http.body,
    )
    if headers:
        result["headers"] = headers
    elif http.headers:
        result["headers"] = dict(http.headers)
    if http.HasField("header_map"):
        fields = [
            _populated(key=field.key, value=field.value, rawValue=_base64(field.raw_value))
            for field in http.header_map.headers
        ]
        result["headerMap"] = {"headers": fields} if fields else {}
    if http.raw_body:
        result["rawBody"] = _base64(http.raw_body)
    return result


def _base64(octets: bytes) -> str:
    return b64encode(octets).decode()


def _metadata(metadata: Metadata) -> Object:
    result: Object = {}
    if metadata.filter_metadata:
        result["filterMetadata"] = {name: _object(fields) for name, fields in metadata.filter_metadata.items()}
    if metadata.typed_filter_metadata:
        result["typedFilterMetadata"] = {
            name: _populated(typeUrl=value.type_url, value=_base64(value.value))
            for name, value in metadata.typed_filter_metadata.items()
        }
    return result


def _object(struct: Struct) -> Object:
    return {name: _value(value) for name, value in struct.fields.items()}


def _value(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            return _number(value.number_value)
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return _object(value.struct_value)
        case "list_value":
            return [_value(item) for item in value.list_value.values]
        case _:
            return None


def _number(number: float) -> float | int | str:
    """Return an integer where it is one, so that a policy sees `3` and not `3.0`."""
    if isfinite(number):
        return int(number) if number.is_integer() and abs(number) <= _MAX_EXACT else number
    if isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"
