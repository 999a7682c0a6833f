"""CheckRequests of every shape that the policy contract knows, and results of every shape, from one seed."""

import json
import struct
from collections.abc import Iterator
from random import Random
from typing import Any

from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest

from loadtest.contract import shop

PATHS = (
    "/", "", "/api/v1/products", "/api//x/", "/a%2Fb", "/a/../b", "/%zz", "/%2", "/caf%C3%A9", "/a+b%20c", "/x%00y",
    "/a?", "/a?x=1&x=2&y=", "/a?b=%zz", "/a?b=1;c=2", "/a?=v&&k", "/a?k=a+b%2Bc", "/%252e%252e/a", "/a;p=1/b",
    "/%ff", "/a?q=%ff", "//host/path", "/a?b?c=d", "*", "example.com:443",
)  # fmt: skip
JSON_BODIES = (
    '{"a": 1}', '{"a": 1, "a": 2}', "[]", "null", '"text"', "1e400", "9007199254740993", '{"n": 1.0}', " ", "", "{",
    "{}x", "NaN", "[1,]", '"\\ud800"', '"\\ud83d\\ude00"', '"\t"', "\ufeff{}", "-0", "01", "1.", "[" * 100 + "]" * 100,
    "[" * 20000 + "]" * 20000, '{"a": {"b": [true, false, null, 0.1]}}', "123456789012345678901234567890",
)  # fmt: skip
FORM_BODIES = ("a=1&b=2&a=3", "a=%zz", "a;b", "", "a+b=c%20d", "=x", "&&", "\u00e9=\u00e8")
MULTIPART_BODIES = (
    '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n',
    '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--',
    '--b\nContent-Disposition: form-data; name="a"\n\n1\n--b--\n',
    'preamble\r\n--b\r\nContent-Disposition: form-data; name=a; filename="f.txt"\r\n\r\nx\r\ny\r\n--b--\r\nepilogue',
    '--b\r\nContent-Disposition: form-data; name="j"\r\nContent-Type: application/json\r\n\r\n{"x": [1]}\r\n--b--\r\n',
    '--b\r\nContent-Disposition: form-data; name="j"\r\nContent-Type: application/json\r\n\r\n{x\r\n--b--\r\n',
    (
        '--b\r\nContent-Disposition: form-data; name="q"\r\nContent-Transfer-Encoding: quoted-printable\r\n'
        "\r\na=3Db=\r\nc\r\n--b--\r\n"
    ),
    '--b\r\nContent-Disposition: form-data; name="q"\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n--b--\r\n',
    "--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--\r\n",
    '--b\r\nContent-Disposition: attachment; name="a"\r\n\r\n1\r\n--b--\r\n',
    (
        '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b\r\n'
        'Content-Disposition: form-data; name="a"\r\n\r\n2\r\n--b--\r\n'
    ),
    '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1',
    "--c\r\n\r\n1\r\n--c--\r\n",
    "--b--\r\n",
    "--b\r\n\r\n--b--\r\n",
    "--b\r\nbroken header\r\n\r\n1\r\n--b--\r\n",
    '--b  \r\nContent-Disposition: form-data; name="a\\"b"\r\n\r\n--bx\r\n--b--  \r\n',
    "no delimiter",
    '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b junk\r\n--b--\r\n',
    '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b-\r\n--b--\r\n',
    '--b\r\nContent-Disposition: form-data;\r\n name="a"\r\nX: y\r\n\r\n1\r\n--b--\r\n',
    '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n--b--\r\n',
    '--b--\n--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\n--b--\r\n--b--\r\n',
    "--b\r\n--b--\r\n\r\n1\r\n--b--\r\n",
)
MULTIPART_TYPES = (
    "multipart/form-data; boundary=b", 'multipart/form-data; boundary="b"', "multipart/form-data",
    "multipart/form-data; boundary=",
    'multipart/form-data; boundary=""', "multipart/form-data; boundary=b; boundary=b",
    "multipart/form-data; boundary=b; boundary=c",
    "multipart/form-data; BOUNDARY=b;", "multipart/form-data; boundary",
    "multipart/form-data ; charset=utf-8; boundary=b",
)  # fmt: skip
CONTENT_TYPES = (
    "application/json", "application/json; charset=utf-8", "application/jsonp", "application/problem+json",
    "Application/JSON", "text/plain", "application/x-www-form-urlencoded", "application/grpc", "",
)  # fmt: skip
CONTENT_LENGTHS = ("+9", "007", "-2", "-1", " 7", "1_0", "\u0669", "", "1", "8", "100000", "9223372036854775808", "0x8")

RESULTS: tuple[Any, ...] = (
    True, False, None, 1, "yes", [], {}, {"allowed": "true"}, {"allowed": None}, {"allowed": True}, {"allowed": False},
    {"allowed": True, "headers": {"x-a": "1", "x-b": ["2", "3"]}},
    {"allowed": True, "headers": [{"x-a": "1"}, {"x-c": ["2"]}]},
    {"allowed": False, "headers": {"x-a": "1"}, "body": "no", "http_status": 401},
    {"allowed": True, "headers": None}, {"allowed": True, "headers": "x"}, {"allowed": False, "headers": {"x": 1}},
    {"allowed": False, "headers": {"x": [1]}}, {"allowed": True, "headers": [1]}, {"allowed": True, "headers": {}},
    {"allowed": True, "response_headers_to_add": {"x-r": ["1", "2"]}},
    {"allowed": True, "response_headers_to_add": 1}, {"allowed": False, "response_headers_to_add": 1},
    {"allowed": True, "request_headers_to_remove": ["x-a", "x-b"]}, {"allowed": True, "request_headers_to_remove": "x"},
    {"allowed": True, "request_headers_to_remove": [1]}, {"allowed": False, "request_headers_to_remove": 1},
    {"allowed": True, "query_parameters_to_set": {"a": "1", "b": ["2", "3"]}},
    {"allowed": True, "query_parameters_to_set": [{"a": "1"}]}, {"allowed": True, "query_parameters_to_set": {"a": 1}},
    {"allowed": True, "query_parameters_to_remove": ["a"]}, {"allowed": True, "query_parameters_to_remove": {}},
    {"allowed": False, "query_parameters_to_set": 1, "query_parameters_to_remove": 1},
    {"allowed": False, "body": 1}, {"allowed": True, "body": 1}, {"allowed": False, "body": None},
    {"allowed": False, "body": ""},
    *({"allowed": False, "http_status": status} for status in range(99, 600)),
    {"allowed": False, "http_status": "403"}, {"allowed": False, "http_status": None},
    {"allowed": False, "http_status": 0},
    {"allowed": False, "http_status": -1}, {"allowed": False, "http_status": 1000},
    {"allowed": True, "http_status": "x"},
    {"allowed": False, "http_status": 403.5}, {"allowed": False, "http_status": True},
    {"allowed": True, "dynamic_metadata": {"a": [1, "x", None, {"b": 0.5}], "decision_id": "mine"}},
    {"allowed": False, "dynamic_metadata": {"a": True}}, {"allowed": True, "dynamic_metadata": None},
    {"allowed": True, "dynamic_metadata": []}, {"allowed": True, "dynamic_metadata": {"n": 10**400}},
    {"allowed": True, "headers": {"x-a": "\u00e9", "X-Upper": "A"}},
    {"allowed": True, "headers": {"x-a": "1"}, "request_headers_to_remove": ["x-a", "x-b"]},
    {"allowed": True, "query_parameters_to_set": {"a": "b&c=d#e f", "g": "%41%2"}},
    {"allowed": False, "headers": {"set-cookie": ["a=1", "b=2"]}},
    {"allowed": True, "unknown": 1}, {"allowed": True, "headers": {"x-a": "1\n2"}},
    {"allowed": True, "headers": {"a b": "1"}},
)  # fmt: skip
RAW_RESULTS = ('{"allowed": false, "http_status": 403.0}', '{"allowed": false, "http_status": 4.03e2}')


def requests(seed: int, count: int) -> Iterator[CheckRequest]:
    """Yield requests whose fields are there or not, by chance; the first ones go through every list in order."""
    random = Random(seed)  # noqa: S311 - not for a secret
    yield from _bodies()
    yield from _grpc()
    for path in PATHS:
        check = _plain(path)
        yield check
    for _ in range(count):
        yield _random(random)


def results() -> Iterator[CheckRequest]:
    """Yield requests that carry the result that the policy shall give."""
    for text in (*map(json.dumps, RESULTS), *RAW_RESULTS):
        check = _plain("/")
        check.attributes.request.http.headers["x-result"] = text
        yield check
    for path in ("/%zz", "/a?b;c"):
        check = _plain(path)
        check.attributes.request.http.headers["x-result"] = "true"
        yield check


def _plain(path: str) -> CheckRequest:
    check = CheckRequest()
    http = check.attributes.request.http
    http.method, http.path, http.host, http.scheme = "POST", path, "shop.example", "https"
    http.headers[":authority"] = "shop.example"
    return check


def _bodies() -> Iterator[CheckRequest]:
    pairs = [
        *(("application/json", body) for body in JSON_BODIES),
        *(("application/x-www-form-urlencoded", body) for body in FORM_BODIES),
        *(("multipart/form-data; boundary=b", body) for body in MULTIPART_BODIES),
        *((content_type, MULTIPART_BODIES[0]) for content_type in MULTIPART_TYPES),
        *((content_type, '{"a": 1}') for content_type in CONTENT_TYPES),
    ]
    for content_type, body in pairs:
        for raw in (False, True):
            yield _with_body(content_type, body, raw=raw)
    for length in CONTENT_LENGTHS:
        for content_type in ("application/json", "text/plain"):
            check = _with_body(content_type, '{"a": 1}', raw=False)
            check.attributes.request.http.headers["content-length"] = length
            yield check
    for partial in ("true", "false", "True"):
        check = _with_body("application/json", "{", raw=False)
        check.attributes.request.http.headers["x-envoy-auth-partial-body"] = partial
        yield check
    for fields in ({}, {"content-type": "text/plain"}):
        listed = _with_body("application/json", "{}", raw=False)
        http = listed.attributes.request.http
        http.ClearField("headers")
        for name, value in (("content-type", "application/json"), ("x-envoy-auth-partial-body", "false")):
            http.header_map.headers.add(key=name, raw_value=value.encode())
        for name, value in fields.items():
            http.headers[name] = value
        yield listed
    raw_bytes = _with_body("application/json", "", raw=True)
    raw_bytes.attributes.request.http.raw_body = b'{"\xff": "\xe2\x82\xed\xa0\x80"}'
    yield raw_bytes


def _grpc() -> Iterator[CheckRequest]:
    item, seven = shop.ITEM, b"\x08\x07"
    strange = struct.pack("<d", float("nan")), struct.pack("<d", float("-inf")), struct.pack("<d", 1e21)
    bodies = (
        *(shop.framed(message) for message in (item, seven, b"", b"\xff", b"\x38\x09", item * 2)),
        *(shop.framed(b"\x19" + number) for number in strange),
        *(shop.framed(b"\x25" + struct.pack("<f", number)) for number in (0.1, 3.4e38, 1e-7)),
        shop.framed(item, flag=1), shop.framed(item, size=99), shop.framed(item, size=2), b"\0\0\0\0", b"",
    )  # fmt: skip
    methods = (
        "/shop.Cart/Put",
        "/shop.Cart/Add",
        "/shop.Cart/Watch",
        "/shop.Cart/Upload",
        "/shop.Cart/No",
        "/shop.No/A",
    )
    for path in (*methods, "/shop.Item/Put", "/shop.Cart", "/shop.Cart/Put/", "/"):
        for body in bodies:
            check = _with_body("application/grpc+proto", "", raw=False)
            check.attributes.request.http.path = path
            check.attributes.request.http.raw_body = body
            yield check


def _with_body(content_type: str, body: str, *, raw: bool) -> CheckRequest:
    check = _plain("/")
    http = check.attributes.request.http
    http.headers["content-type"] = content_type
    if raw:
        http.raw_body = body.encode()
    else:
        http.body = body
    return check


def _random(random: Random) -> CheckRequest:
    check = _plain(random.choice(PATHS))
    attributes = check.attributes
    for peer in (attributes.source, attributes.destination):
        if random.random() < 0.8:
            _fill_peer(random, peer)
    _fill_http(random, attributes.request.http)
    if random.random() < 0.5:
        attributes.request.time.seconds = random.choice((0, 1_700_000_000, -1))
        attributes.request.time.nanos = random.choice((0, 5))
    if random.random() < 0.5:
        attributes.context_extensions["virtual_host"] = random.choice(("", "shop", "\u00e9"))
    for metadata in (attributes.metadata_context, attributes.route_metadata_context):
        if random.random() < 0.4:
            _fill_metadata(random, metadata)
    if random.random() < 0.4:
        attributes.tls_session.SetInParent()
        attributes.tls_session.sni = random.choice(("", "shop.example"))
    return check


def _fill_peer(random: Random, peer: AttributeContext.Peer) -> None:
    kind = random.randrange(5)
    address = peer.address
    if kind == 0:
        address.SetInParent()
    elif kind == 1:
        address.pipe.path = random.choice(("", "/run/envoy.sock"))
        address.pipe.mode = random.choice((0, 0o600))
    elif kind == 2:
        address.envoy_internal_address.server_listener_name = random.choice(("", "internal"))
        address.envoy_internal_address.endpoint_id = random.choice(("", "e"))
    else:
        socket = address.socket_address
        socket.address = random.choice(("", "10.0.0.1", "::1"))
        socket.protocol = random.choice((0, 1))
        socket.resolver_name = random.choice(("", "dns"))
        socket.ipv4_compat = random.random() < 0.3
        if random.random() < 0.2:
            socket.named_port = "http"
        else:
            socket.port_value = random.choice((0, 4321))
    peer.service = random.choice(("", "edge"))
    peer.principal = random.choice(("", "spiffe://mesh.example/ns/edge/sa/envoy"))
    peer.certificate = random.choice(("", "-----BEGIN%20CERTIFICATE-----"))
    if random.random() < 0.3:
        peer.labels["app"] = random.choice(("", "edge"))


def _fill_http(random: Random, http: AttributeContext.HttpRequest) -> None:
    http.id = random.choice(("", "17"))
    http.method = random.choice(("GET", "POST", "CONNECT"))
    http.query, http.fragment = random.choice(("", "a=b")), random.choice(("", "f"))
    http.size, http.protocol = random.choice((0, -1, 2**40)), random.choice(("", "HTTP/1.1", "HTTP/2"))
    for number in range(random.randrange(5)):
        http.headers[f"x-h{number}"] = random.choice(("", "v", "\u00e9", "a,b", "a" * 300))
    if random.random() < 0.2:
        http.ClearField("headers")
        http.header_map.SetInParent()
        for _ in range(random.randrange(1, 4)):
            http.header_map.headers.add(key="x-h", raw_value=random.choice((b"v", b"", b"\xff\xfe")))


def _fill_metadata(random: Random, metadata: Any) -> None:
    metadata.SetInParent()
    if random.random() < 0.7:
        struct = metadata.filter_metadata["envoy.filters.http.jwt_authn"]
        struct["n"] = random.choice((0, 1, -1.5, 1e21, float("nan"), float("inf"), float("-inf"), 1e-7, 2.0**53))
        struct["s"], struct["b"], struct["z"] = "text", True, None
        struct["o"] = {"list": [1, "a", {"x": None}], "empty": {}}
    if random.random() < 0.3:
        metadata.typed_filter_metadata["typed"].type_url = random.choice(("", "type.googleapis.com/x.Y"))
        metadata.typed_filter_metadata["typed"].value = random.choice((b"", b"\x00\xff"))
