import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from hypothesis import given
from hypothesis import strategies as st

from tests.envoy.checks import a92, check, connection, listed, request, run
from ztag_extauthz.admission.well_formed import WellFormed, WellFormedSettings
from ztag_extauthz.model import Deny, Reason

STRICT = WellFormed(WellFormedSettings())
RELAXED = WellFormed(WellFormedSettings(insecure_ambiguous_paths=True))


def refused(message: CheckRequest, gate: WellFormed = STRICT) -> Deny | None:
    refusal = run(gate.admit(request(message), 0.0))
    assert refusal is None or isinstance(refusal, Deny)
    return refusal


def reason(message: CheckRequest, gate: WellFormed = STRICT) -> Reason | None:
    refusal = refused(message, gate)
    return refusal.reason if refusal else None


CLEAN = (
    "/", "/a", "/a/b", "/a/", "/a.b/c.", "/.well-known/jwks.json", "/a?b=c", "/?", "/a?b=%2F../\\;x", "/a?x=é",
    "/?a=%2e%3f%23", "/a/...",
    "/caf%C3%A9", "/a%20b", "/a+b", "/~user", "/a:b@c", "/100%25", "/100%25/x", "/a,b=c",
    "/%F0%9F%94%91",
)  # fmt: skip


@pytest.mark.parametrize("path", CLEAN)
def test_a_path_with_one_reading_is_let_through(path: str) -> None:
    assert refused(check(path)) is None


AMBIGUOUS = {
    "encoded slash": ("/a%2Fb", "/a%2fb", "/public/..%2fadmin"),
    "encoded backslash": ("/a%5Cb", "/a%5cb"),
    "a backslash": ("/a\\b", "/public\\..\\admin"),
    "dot segment": ("/a/../b", "/a/..", "/./a", "/.", "/..", "/a/./b", "/../"),
    "encoded dot segment": ("/a/%2e%2e/b", "/a/.%2E/b", "/a/%2e./b", "/%2e/a", "/a/%2e%2e", "/%2E%2E"),
    "parameter": ("/a;x=1", "/a;x=1/../admin", "/a%3Bx", "/a%3bx=1/b", "/;/a", "/a;"),
    "doubly encoded": ("/a/%252e%252e/b", "/a%252fb", "/a%255cb", "/a%25252e", "/%2500"),
    "control character": ("/a%00b", "/a%0d%0ab", "/a%7F", "/a b", "/a\tb", "/a\x7f", "/%1F"),
    "empty segment": ("//", "//evil/admin", "/a//b", "/a//"),
    "fragment": ("/admin#x", "/public#/../admin", "/a?b#c", "/#"),
    "hexadecimal": ("/%", "/%2", "/%zz", "/a%", "/%u0041"),
    "UTF-8": ("/%ff", "/%c0%ae%c0%ae/a", "/a%C3", "/%ed%a0%80"),
    "ASCII": ("/é", "/a/\u2025/b", "/\uff0e\uff0e/a"),
    "letter": ("/%61dmin", "/adm%69n", "/%41", "/%7A", "/%30"),
    "mark": ("/a%2Db", "/a%2eb", "/a%5Fb", "/%7euser", "/%7Euser"),
    "`?` or `#`": ("/C%23", "/a%3Fb", "/a%3fb=c/d"),
    "no slash": ("a", "http://evil/admin", "*", "shop.example:443", "https://shop.example/", "\u00e9"),
}


@pytest.mark.parametrize(("spelling", "path"), [(name, path) for name, paths in AMBIGUOUS.items() for path in paths])
def test_an_ambiguous_path_is_refused_and_the_spelling_named(spelling: str, path: str) -> None:
    refusal = refused(check(path))
    assert refusal is not None
    assert refusal.reason is Reason.AMBIGUOUS_PATH
    if path not in ("/public/..%2fadmin", "/public\\..\\admin", "/a;x=1/../admin", "/public#/../admin", "/%u0041"):
        assert spelling in refusal.detail or spelling == "ASCII"


@pytest.mark.parametrize("path", [path for paths in AMBIGUOUS.values() for path in paths])
def test_the_setting_lets_ambiguous_paths_through(path: str) -> None:
    assert refused(check(path), RELAXED) is None


def test_a_detail_does_not_repeat_what_was_sent() -> None:
    refusal = refused(check("/<script>/.."))
    assert refusal is not None
    assert "script" not in refusal.detail


@pytest.mark.parametrize("path", ["", "shop.example:443", "[::1]:443"])
def test_s29_connect_names_an_authority(path: str) -> None:
    assert refused(check(path, method="CONNECT")) is None


def test_s29_connect_with_a_path_is_looked_at_like_any_other() -> None:
    assert refused(check("/chat", method="CONNECT")) is None
    assert reason(check("/a/../chat", method="CONNECT")) is Reason.AMBIGUOUS_PATH
    assert reason(check("shop/..:443", method="CONNECT")) is Reason.AMBIGUOUS_PATH


def test_s29_options_may_ask_about_the_whole_server() -> None:
    assert refused(check("*", method="OPTIONS")) is None
    assert reason(check("*", method="GET")) is Reason.AMBIGUOUS_PATH


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PATCH", "PROPFIND", "M-SEARCH"])
def test_s29_any_method_that_is_a_token_reaches_the_policy(method: str) -> None:
    assert refused(check("/a", method=method, headers={"upgrade": "websocket", "connection": "upgrade"})) is None


@pytest.mark.parametrize("method", ["", "GE T", "GET\t", "G\u00c9T", "GET,POST"])
def test_a_method_that_is_no_token_is_malformed(method: str) -> None:
    message = check("/")
    message.attributes.request.http.method = method
    message.attributes.request.http.headers[":method"] = method
    assert reason(message) is Reason.MALFORMED_REQUEST


def test_a_request_without_a_path_is_malformed() -> None:
    assert reason(check("")) is Reason.MALFORMED_REQUEST
    assert reason(check(""), RELAXED) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize("host", ["a,b", "a b", "a/b", "user@a", "a?b", "a#b", "a\\b"])
def test_a_host_that_is_none_is_malformed(host: str) -> None:
    message = check("/")
    message.attributes.request.http.host = host
    assert reason(message) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize(
    "host", ["shop.example", "shop.example:8080", "[::1]:80", "10.0.0.1", "my_host", "shop.example.", "[::1]"]
)
def test_hosts_are_let_through(host: str) -> None:
    message = check("/")
    message.attributes.request.http.host = host
    assert refused(message) is None


@pytest.mark.parametrize("host", ["", ":", ":443", ".", ".:443", "shop.example:", "[::1]:", "shop.example::"])
@pytest.mark.parametrize("protocol", ["HTTP/1.0", "HTTP/1.1", "HTTP/2"])
def test_never_4_a_request_names_its_host_and_no_empty_port(host: str, protocol: str) -> None:
    message = check("/")
    http = message.attributes.request.http
    http.host, http.protocol, http.headers[":authority"] = host, protocol, host
    assert reason(message) is Reason.MALFORMED_REQUEST
    assert reason(message, RELAXED) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize("path", ["/a\0b", "/a%00b"])
def test_s01_nul_in_the_path_is_refused(path: str) -> None:
    assert reason(check(path)) in (Reason.AMBIGUOUS_PATH, Reason.MALFORMED_REQUEST)


def test_s01_a_raw_nul_is_refused_whatever_the_settings_say() -> None:
    assert reason(check("/a\0b"), RELAXED) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize("value", ["a\0b", "a\rb", "a\nb"])
def test_s01_a_control_character_in_a_header_is_malformed(value: str) -> None:
    assert reason(check(headers={"x-a": value}), RELAXED) is Reason.MALFORMED_REQUEST


SECURITY_HEADERS = (
    "authorization", "host", "content-length", "content-type", "dpop", "proxy-authorization", "x-ztag-subject",
    "x-ztag-anything", "x-envoy-auth-partial-body",
)  # fmt: skip


@pytest.mark.parametrize("name", SECURITY_HEADERS)
def test_s03_a_security_header_that_is_listed_twice_is_malformed(name: str) -> None:
    refusal = refused(listed([(name, b"a"), (name.upper(), b"b"), (":method", b"GET")]))
    assert refusal is not None
    assert refusal.reason is Reason.MALFORMED_REQUEST
    assert name in refusal.detail


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authorization", "Bearer a,Bearer b"),
        ("authorization", "bearer a, Basic b"),
        ("authorization", "Basic a,"),
        ("content-length", "5,5"),
        ("content-length", "5, 6"),
        ("host", "a,b"),
        ("content-type", "text/plain, application/json"),
        ("content-type", 'multipart/form-data; boundary="a,b", application/json'),
        ("content-type", 'multipart/form-data; boundary="a, application/json'),
    ],
)
def test_s03_a_security_header_that_was_joined_is_malformed(name: str, value: str) -> None:
    assert reason(check(headers={name: value})) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authorization", 'Digest username="a", realm="b"'),
        ("authorization", 'Signature keyId="a",algorithm="b"'),
        ("authorization", "Bearer a.b.c"),
        ("cookie", "a=1,b=2"),
        ("accept", "a, b"),
        ("content-type", 'multipart/form-data; boundary="a,\\",b"'),
    ],
)
def test_commas_that_belong_there_are_let_through(name: str, value: str) -> None:
    assert refused(check(headers={name: value})) is None


def test_other_headers_may_be_repeated() -> None:
    assert refused(listed([("accept", b"a"), ("accept", b"b"), ("cookie", b"a"), ("cookie", b"b")])) is None


def test_s30_connections_and_grpc_servers_are_let_through() -> None:
    assert refused(connection()) is None
    assert refused(a92()) is None


def test_defects_are_malformed() -> None:
    both = check()
    both.attributes.request.http.header_map.headers.add(key="a", raw_value=b"b")
    assert reason(both) is Reason.MALFORMED_REQUEST
    assert reason(CheckRequest()) is Reason.MALFORMED_REQUEST


_PIECES = st.sampled_from(
    ["/", ".", "..", "%2e", "%2F", "%5C", "\\", ";", "%3b", "%25", "a", "admin", "%00", "#", "?", "//"]
)


@given(st.lists(_PIECES, max_size=8).map("".join))
def test_whatever_is_let_through_has_one_reading(pieces: str) -> None:
    path = f"/{pieces}"
    if refused(check(path)):
        return
    path = path.partition("?")[0]
    segments = path.split("/")[1:]
    assert not {".", ".."} & set(segments)
    assert "" not in segments[:-1]
    for trace in ("\\", ";", "#", "%2f", "%5c", "%3b", "%00", "%252"):
        assert trace not in path.lower()


@given(st.text(max_size=200))
def test_any_path_is_answered(path: str) -> None:
    if not any("\ud800" <= character <= "\udfff" for character in path):
        refused(check(path))
