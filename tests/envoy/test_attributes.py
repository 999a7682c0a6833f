import json
from typing import Any

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from google.protobuf.descriptor import FieldDescriptor

from tests.envoy.checks import a92, check, connection, listed, request
from ztag_extauthz.envoy.attributes import to_input


def attributes(message: CheckRequest) -> dict[str, Any]:
    return request(message).attributes()


def test_an_ordinary_request_is_what_the_policy_contract_says() -> None:
    message = check("/a?b=c", headers={"x-a": "1"}, body="text")
    message.attributes.request.time.seconds = 1_700_000_000
    message.attributes.request.time.nanos = 5
    http = attributes(message)["request"]["http"]
    assert http.pop("headers") == {
        ":authority": "shop.example",
        ":method": "GET",
        ":path": "/a?b=c",
        ":scheme": "https",
        "x-a": "1",
    }
    assert http == {
        "id": "17",
        "method": "GET",
        "path": "/a?b=c",
        "host": "shop.example",
        "scheme": "https",
        "protocol": "HTTP/2",
        "size": -1,
        "body": "text",
    }
    found = attributes(message)
    assert found["request"]["time"] == {"seconds": 1_700_000_000, "nanos": 5}
    assert found["source"] == {"address": {"socketAddress": {"address": "10.0.0.1", "portValue": 4321}}}
    assert set(found) == {"source", "destination", "request"}


def test_headers_with_capitals_are_shown_as_they_came() -> None:
    assert "X-A" in attributes(check(headers={"X-A": "1"}))["request"]["http"]["headers"]


def test_octets_are_base64() -> None:
    http = attributes(listed([("x-a", b"\xff")]))["request"]["http"]
    assert http["headerMap"] == {"headers": [{"key": ":path", "rawValue": "Lw=="}, {"key": "x-a", "rawValue": "/w=="}]}
    assert "headers" not in http
    assert attributes(check(raw_body=b"\x00"))["request"]["http"]["rawBody"] == "AA=="


def test_everything_else_there_is() -> None:
    message = check()
    found = message.attributes
    found.source.service, found.source.principal, found.source.certificate = "edge", "spiffe://a", "PEM"
    found.source.labels["app"] = "edge"
    socket = found.destination.address.socket_address
    socket.protocol, socket.named_port, socket.resolver_name, socket.ipv4_compat = 1, "http", "dns", True
    socket.network_namespace_filepath = "/run/netns/a"
    found.request.http.query, found.request.http.fragment = "q", "f"
    found.context_extensions["virtual_host"] = "shop"
    found.tls_session.sni = "shop.example"
    found.route_metadata_context.typed_filter_metadata["t"].type_url = "type.googleapis.com/x.Y"
    found.route_metadata_context.typed_filter_metadata["t"].value = b"\x01"
    shown = attributes(message)
    assert shown["source"]["labels"] == {"app": "edge"}
    assert (shown["source"]["service"], shown["source"]["principal"]) == ("edge", "spiffe://a")
    assert shown["source"]["certificate"] == "PEM"
    assert shown["destination"]["address"]["socketAddress"] == {
        "protocol": 1,
        "address": "10.0.0.2",
        "namedPort": "http",
        "resolverName": "dns",
        "ipv4Compat": True,
        "networkNamespaceFilepath": "/run/netns/a",
    }
    assert (shown["request"]["http"]["query"], shown["request"]["http"]["fragment"]) == ("q", "f")
    assert shown["contextExtensions"] == {"virtual_host": "shop"}
    assert shown["tlsSession"] == {"sni": "shop.example"}
    assert shown["routeMetadataContext"] == {
        "typedFilterMetadata": {"t": {"typeUrl": "type.googleapis.com/x.Y", "value": "AQ=="}}
    }


def test_messages_that_are_present_but_empty_are_empty_objects() -> None:
    message = CheckRequest()
    found = message.attributes
    found.source.address.SetInParent()
    found.destination.address.pipe.SetInParent()
    found.request.time.SetInParent()
    found.request.http.header_map.SetInParent()
    found.metadata_context.filter_metadata["a"].SetInParent()
    found.route_metadata_context.SetInParent()
    found.tls_session.SetInParent()
    assert to_input(found) == {
        "source": {"address": {}},
        "destination": {"address": {"pipe": {}}},
        "request": {"time": {}, "http": {"headerMap": {}}},
        "metadataContext": {"filterMetadata": {"a": {}}},
        "routeMetadataContext": {},
        "tlsSession": {},
    }


def test_a_zero_in_a_oneof_is_shown_and_other_zeros_are_not() -> None:
    message = CheckRequest()
    message.attributes.source.address.socket_address.port_value = 0
    message.attributes.destination.address.envoy_internal_address.server_listener_name = ""
    shown = to_input(message.attributes)
    assert shown["source"] == {"address": {"socketAddress": {"portValue": 0}}}
    assert shown["destination"] == {"address": {"envoyInternalAddress": {"serverListenerName": ""}}}


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (3.0, "3"),
        (-1.5, "-1.5"),
        (0.0, "0"),
        (float("nan"), '"NaN"'),
        (float("inf"), '"Infinity"'),
        (float("-inf"), '"-Infinity"'),
        (2.0**53, "9007199254740992"),
    ],
)
def test_numbers_of_a_struct(number: float, shown: str) -> None:
    message = check()
    message.attributes.metadata_context.filter_metadata["n"]["x"] = number
    assert json.dumps(attributes(message)["metadataContext"]["filterMetadata"]["n"]["x"]) == shown


def test_a_struct_is_the_object_that_it_stands_for() -> None:
    message = check()
    document = {"s": "t", "b": True, "n": None, "o": {"l": [1, "a", {"x": None}], "e": {}}}
    message.attributes.metadata_context.filter_metadata["ns"].update(document)
    assert attributes(message)["metadataContext"]["filterMetadata"]["ns"] == document
    message.attributes.metadata_context.filter_metadata["ns"].fields["unset"].SetInParent()
    assert attributes(message)["metadataContext"]["filterMetadata"]["ns"]["unset"] is None


def test_s30_requests_without_http_have_no_http() -> None:
    assert attributes(connection()) == {
        "source": {
            "address": {"socketAddress": {"address": "10.0.0.1"}},
            "principal": "spiffe://mesh.example/ns/edge/sa/envoy",
        },
        "destination": {"address": {"socketAddress": {"portValue": 5432}}},
    }
    assert attributes(a92())["request"]["http"]["size"] == -1


def test_no_field_of_the_protocol_is_forgotten() -> None:
    """A new field in a new version of Envoy's protos has to be thought of."""
    names = {field.json_name for field in _fields(CheckRequest.DESCRIPTOR.fields_by_name["attributes"].message_type)}
    assert names == {
        "source",
        "destination",
        "request",
        "contextExtensions",
        "metadataContext",
        "routeMetadataContext",
        "tlsSession",
        "address",
        "service",
        "labels",
        "principal",
        "certificate",
        "time",
        "http",
        "sni",
        "socketAddress",
        "pipe",
        "envoyInternalAddress",
        "protocol",
        "portValue",
        "namedPort",
        "resolverName",
        "ipv4Compat",
        "path",
        "mode",
        "networkNamespaceFilepath",
        "serverListenerName",
        "endpointId",
        "filterMetadata",
        "typedFilterMetadata",
        "id",
        "method",
        "headers",
        "headerMap",
        "host",
        "scheme",
        "query",
        "fragment",
        "size",
        "body",
        "rawBody",
        "key",
        "value",
        "rawValue",
    }


def _fields(message: Any) -> list[FieldDescriptor]:
    found = []
    for field in message.fields:
        found.append(field)
        inner = field.message_type
        if inner and inner.full_name.startswith("envoy.") and not inner.GetOptions().map_entry:
            found.extend(_fields(inner))
    return found
