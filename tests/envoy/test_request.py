import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from hypothesis import given
from hypothesis import strategies as st

from tests.envoy.checks import a92, check, connection, listed, request
from ztag_extauthz.envoy import decode
from ztag_extauthz.errors import MessageError
from ztag_extauthz.model import Peer


def test_reads_every_field_of_an_http_request() -> None:
    message = check("/a?b=c", method="PUT", headers={"x-a": "1"}, body="text")
    attributes = message.attributes
    attributes.source.principal, attributes.source.service = "spiffe://mesh/sa/a", "edge"
    attributes.source.certificate = "-----BEGIN%20CERTIFICATE-----"
    attributes.context_extensions["virtual_host"] = "shop"
    found = request(message)
    assert (found.id, found.method, found.scheme, found.host) == ("17", "PUT", "https", "shop.example")
    assert (found.path, found.protocol, found.body, found.partial) == ("/a?b=c", "HTTP/2", b"text", False)
    assert found.headers["x-a"] == "1"
    assert found.repeated == frozenset()
    assert found.source == Peer("10.0.0.1", 4321, "spiffe://mesh/sa/a", "edge", "-----BEGIN%20CERTIFICATE-----")
    assert found.destination == Peer("10.0.0.2", 8080)
    assert found.context_extensions == {"virtual_host": "shop"}
    assert found.is_http
    assert found.defect == ""


def test_reads_listed_headers_and_sees_repeated_ones() -> None:
    found = request(listed([("X-Role", b"user"), ("x-role", b"admin"), ("x-b", b"")]))
    assert found.headers["x-role"] == "user,admin"
    assert found.headers["x-b"] == ""
    assert found.repeated == {"x-role"}


def test_listed_text_values_count_where_there_are_no_raw_ones() -> None:
    message = listed([])
    message.attributes.request.http.header_map.headers.add(key="x-a", value="1")
    assert request(message).headers["x-a"] == "1"


def test_names_are_lower_case_and_two_spellings_are_a_repetition() -> None:
    found = request(check(headers={"X-Role": "a", "x-role": "b"}))
    assert set(found.headers["x-role"].split(",")) == {"a", "b"}
    assert found.repeated == {"x-role"}


def test_pseudo_headers_stand_in_for_empty_fields() -> None:
    message = CheckRequest()
    for name, value in ((":method", "GET"), (":path", "/a"), (":authority", "shop"), (":scheme", "https")):
        message.attributes.request.http.headers[name] = value
    found = request(message)
    assert (found.method, found.path, found.host, found.scheme) == ("GET", "/a", "shop", "https")


def test_the_raw_body_counts_where_there_is_no_text() -> None:
    assert request(check(raw_body=b"\x00\xff")).body == b"\x00\xff"


def test_no_body_and_an_empty_body_are_two_things() -> None:
    assert request(check()).body is None
    assert request(check(headers={"x-envoy-auth-partial-body": "false"})).body == b""


@pytest.mark.parametrize(("value", "partial"), [("true", True), ("false", False), ("True", False), ("", False)])
def test_only_envoys_own_word_marks_a_partial_body(value: str, partial: bool) -> None:  # noqa: FBT001
    assert request(check(headers={"x-envoy-auth-partial-body": value}, body="x")).partial is partial


def test_reads_the_other_kinds_of_address() -> None:
    message = check()
    message.attributes.source.address.pipe.path = "/run/envoy.sock"
    message.attributes.destination.address.envoy_internal_address.server_listener_name = "internal"
    found = request(message)
    assert found.source == Peer("/run/envoy.sock")
    assert found.destination == Peer("internal")


def test_a_principal_without_an_address_is_kept() -> None:
    message = check()
    message.attributes.source.ClearField("address")
    message.attributes.source.principal = "spiffe://mesh/sa/a"
    assert request(message).source.principal == "spiffe://mesh/sa/a"


def test_both_kinds_of_headers_are_a_defect() -> None:
    message = check()
    message.attributes.request.http.header_map.headers.add(key="x-a", raw_value=b"1")
    assert "contradict" in request(message).defect


def test_no_headers_at_all_are_a_defect() -> None:
    message = check()
    message.attributes.request.http.ClearField("headers")
    assert request(message).defect == "no headers"
    message.attributes.request.http.header_map.SetInParent()
    assert request(message).defect == "no headers"


def test_an_empty_message_is_a_defect_and_no_error() -> None:
    assert "neither" in decode(b"").defect


@pytest.mark.parametrize("octets", [b"\xff\xff\xff", b"\x0a\xff"])
def test_bytes_that_are_no_message_are_an_error(octets: bytes) -> None:
    with pytest.raises(MessageError):
        decode(octets)


def test_text_that_is_no_utf8_is_an_error() -> None:
    encoded = check("/marked").SerializeToString().replace(b"/marked", b"/mark\xff\xfe")
    with pytest.raises(MessageError):
        decode(encoded)


@pytest.mark.parametrize("character", ["\0", "\r", "\n"])
def test_s01_a_control_character_in_a_header_is_a_defect(character: str) -> None:
    assert "'x-a'" in request(check(headers={"x-a": f"1{character}2"})).defect
    assert "control" in request(check(headers={f"x{character}a": "1"})).defect
    assert "control" in request(listed([("x-a", f"1{character}2".encode())])).defect


@pytest.mark.parametrize("octet", range(0x80, 0x100))
def test_s08_bytes_that_are_no_utf8_are_read_as_envoy_writes_them(octet: int) -> None:
    found = request(listed([("x-a", b"a" + bytes([octet]) + b"b")]))
    assert found.headers["x-a"] == "a!b"
    assert found.attributes()["request"]["http"]["headerMap"]["headers"][1]["key"] == "x-a"


def test_s30_a_connection_is_read() -> None:
    found = request(connection())
    assert not found.is_http
    assert (found.defect, found.path, found.method, dict(found.headers)) == ("", "", "", {})
    assert found.source.principal == "spiffe://mesh.example/ns/edge/sa/envoy"
    assert found.destination.port == 5432


def test_s30_a_grpc_servers_own_request_is_read() -> None:
    found = request(a92())
    assert found.defect == ""
    assert (found.method, found.path, found.host) == ("POST", "/shop.Cart/Add", "cart")
    assert found.headers == {"content-type": "application/grpc"}


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_a_message_error(octets: bytes) -> None:
    try:
        found = decode(octets)
    except MessageError:
        return
    assert isinstance(found.attributes(), dict)


_TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


@given(st.dictionaries(_TEXT, _TEXT, max_size=6), _TEXT, st.binary(max_size=20))
def test_what_envoy_sends_comes_back(headers: dict[str, str], path: str, body: bytes) -> None:
    found = request(check(path, headers=headers, raw_body=body))
    assert found.path == path or (not path and found.path == "")
    assert found.body == (body or None)
    for name, value in headers.items():
        assert value in found.headers[name.lower()]
