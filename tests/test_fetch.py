import asyncio
import ssl
import time
from http.server import BaseHTTPRequestHandler

import pytest

from tests.authentication.parts import KeyServer
from ztag_extauthz.fetch import MAX_BYTES, Fetched, FetchError, fetch, in_daemon, why_not_url

CONTEXT = ssl.create_default_context()


def get(server: KeyServer, path: str = "/keys", timeout: float = 5.0) -> Fetched:
    return fetch(server.url + path, time.monotonic() + timeout, CONTEXT)


def test_fetches(key_server: KeyServer) -> None:
    key_server.serve("/keys?x=1", b"{}", cache_control="public, max-age=300")
    assert get(key_server, "/keys?x=1") == Fetched(b"{}", 300.0)
    key_server.serve("/", b"", server="x")
    assert get(key_server, "") == Fetched(b"", None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("max-age=60", 60),
        ("MAX-AGE=7, public", 7),
        ('max-age="5"', 5),
        ("no-store", 0),
        ("no-cache, max-age=9", 0),
        ("max-age=" + "9" * 400, 9999999999),
        ("max-age=-1", None),
        ("max-age=x", None),
        ("s-maxage=4", None),
    ],
)
def test_reads_cache_control(key_server: KeyServer, value: str, seconds: float | None) -> None:
    key_server.serve("/keys", b"{}", cache_control=value)
    assert get(key_server).max_age == seconds


def test_s23_redirects_are_not_followed(key_server: KeyServer) -> None:
    key_server.serve("/elsewhere", b"{}")
    for status in (301, 302, 303, 307, 308):
        key_server.serve("/keys", b"", status=status, location="/elsewhere")
        with pytest.raises(FetchError, match=f"answers {status}; redirects are not followed"):
            get(key_server)
    assert "/elsewhere" not in key_server.asked


@pytest.mark.parametrize("status", [201, 204, 404, 500, 503])
def test_only_200_is_an_answer(key_server: KeyServer, status: int) -> None:
    key_server.serve("/keys", b"", status=status)
    with pytest.raises(FetchError, match=str(status)):
        get(key_server)


def test_s25_a_huge_answer_is_cut_off(key_server: KeyServer) -> None:
    key_server.serve("/keys", b"x" * (MAX_BYTES + 1))
    with pytest.raises(FetchError, match="more than"):
        get(key_server)
    key_server.serve("/keys", b"x" * MAX_BYTES)
    assert len(get(key_server).document) == MAX_BYTES


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x" * 65536)


def test_s25_an_endless_answer_is_cut_off(key_server: KeyServer) -> None:
    key_server.answers["/keys"] = endless
    with pytest.raises(FetchError, match="more than"):
        get(key_server)


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(b"x")
        time.sleep(0.05)


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(90):
        handler.wfile.write(f"x-{number}: y\r\n".encode())
        time.sleep(0.05)


def silence(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(3.0)
    handler.close_connection = True


@pytest.mark.parametrize("answer", [drip, drip_headers, silence])
def test_s25_a_slow_answer_is_given_up(key_server: KeyServer, answer: object) -> None:
    key_server.answers["/keys"] = answer  # type: ignore[assignment]
    with pytest.raises(FetchError, match=r"in time|breaks off"):
        get(key_server, timeout=0.2)


def short(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b"{}")


def nonsense(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-server\r\n\r\n")


@pytest.mark.parametrize("answer", [short, nonsense])
def test_a_broken_answer_is_an_error(key_server: KeyServer, answer: object) -> None:
    key_server.answers["/keys"] = answer  # type: ignore[assignment]
    with pytest.raises(FetchError):
        get(key_server)


def test_nobody_listens(key_server: KeyServer) -> None:
    key_server.stop()
    with pytest.raises(FetchError, match="does not answer: ConnectionRefusedError"):
        get(key_server)


def test_a_name_that_nobody_knows_is_told() -> None:
    with pytest.raises(FetchError, match=r"^the name issuer\.invalid cannot be resolved$"):
        fetch("https://issuer.invalid/keys", time.monotonic() + 5, ssl.create_default_context())


def test_plain_http_where_tls_is_expected(key_server: KeyServer) -> None:
    with pytest.raises(FetchError, match="SSL"):
        fetch(key_server.url.replace("http:", "https:"), time.monotonic() + 5, CONTEXT)


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.example",
        "https://issuer.example:8443/a/b?c=d",
        "http://127.0.0.1:1/x",
        "http://[::1]/x",
        "http://localhost:8080",
    ],
)
def test_good_addresses(url: str) -> None:
    assert why_not_url(url, insecure_http=False) == ""


@pytest.mark.parametrize(
    "url",
    [
        "",
        "issuer.example",
        "http://issuer.example/keys",
        "http://127.0.0.1.example/",
        "http://10.0.0.1/",
        "ftp://a/b",
        "file:///etc/passwd",
        "https://",
        "https://user:pass@issuer.example/",
        "https://a/b#c",
        "https://a:99999/",
        "https://a/b\r\nx: y",
        "https://a/b c",
        "https://\u212a.example/",
        "https://[::1/",
    ],
)
def test_s23_bad_addresses(url: str) -> None:
    assert why_not_url(url, insecure_http=False) != ""


def test_plain_http_has_to_be_named_insecure() -> None:
    assert why_not_url("http://keys.internal/jwks", insecure_http=True) == ""


def test_in_daemon_hands_over_results_and_errors() -> None:
    def fail() -> Fetched:
        raise FetchError("down")

    assert asyncio.run(in_daemon(lambda: Fetched(b"x", None))) == Fetched(b"x", None)
    with pytest.raises(FetchError, match="down"):
        asyncio.run(in_daemon(fail))
