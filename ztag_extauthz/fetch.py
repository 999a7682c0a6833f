"""One request for one document, from an address that the settings or an issuer's own document name.

Bounded in every way: https (or loopback), no redirect, no proxy, at most `MAX_BYTES` or what the caller says, and no
longer than its deadline, however slowly the other side drips.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from socket import SHUT_RDWR, gaierror, socket
from threading import Thread, Timer
from time import monotonic
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from ztag_extauthz.errors import Mistake, SettingsError
from ztag_extauthz.hosts import is_loopback

MAX_BYTES = 512 * 1024
_CHUNK = 64 * 1024


T = TypeVar("T")


class FetchError(Exception):
    """The document cannot be had; the message is for the operator."""


class Fetched(Struct, frozen=True):
    """A document and for how long its server vouches for it."""

    document: bytes
    max_age: float | None
    """Seconds, from `cache-control`; None if it does not say."""
    etag: str = ""
    unchanged: bool = False
    """The document is still the one that `if-none-match` named (304); `document` is empty then."""


async def in_daemon(work: Callable[[], T]) -> T:
    """Run what blocks in a thread that keeps nobody from exiting (those of `asyncio.to_thread` are waited for)."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        result: T | Exception
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - it is raised where it is awaited
            result = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_deliver, future, result)

    Thread(target=run, name="fetch", daemon=True).start()
    return await future


def _deliver(future: "asyncio.Future[T]", result: T | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def why_not_url(url: str, *, insecure_http: bool) -> str:
    """Return why nothing may be fetched from there, or ""."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme not in {"http", "https"} or not host or not url.isascii() or not url.isprintable() or " " in url:
        return "is no https URL"
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "has a user, a password or a fragment"
    if parts.scheme == "http" and not insecure_http and not is_loopback(host):
        return "is not https: whoever sits on the way could put something of their own there"
    return ""


def tls_context(ca: Path | None, setting: str) -> ssl.SSLContext:
    """Return what verifies servers. Raises `SettingsError` where the file of authorities cannot be used."""
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        mistake = Mistake(str(ca), f"cannot be used: {error.strerror or error}", "name a PEM file", setting)
        raise SettingsError((mistake,)) from error


def bearer(path: str | None, folder: Path, setting: str) -> str:
    """Return a bearer token from a file, "" without one; raises `SettingsError`."""
    if path is None:
        return ""
    remedy = "write the token alone there"
    try:
        text = (folder / path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "is not ASCII"
        raise SettingsError((Mistake(path, f"cannot be read: {why}", remedy, setting),)) from None
    if not text or not text.isprintable() or " " in text:
        raise SettingsError((Mistake(path, "holds no token", remedy, setting),))
    return text


class Form(Struct, frozen=True):
    """What is posted instead of a GET."""

    body: bytes
    """`application/x-www-form-urlencoded`."""
    authorization: str
    """Value of the header; "" for none."""


class Terms(Struct, frozen=True):
    """What goes with a request, and how large its answer may be."""

    headers: Mapping[str, str] = MappingProxyType({"accept": "application/json"})
    form: Form | None = None
    max_bytes: int = MAX_BYTES


PLAIN = Terms()


def fetch(url: str, deadline: float, context: ssl.SSLContext, terms: Terms = PLAIN) -> Fetched:
    """Return what stands at an address. Blocks, until `deadline` (seconds of `time.monotonic`) at most.

    Raises `FetchError`.
    """
    parts = urlsplit(url)
    connection = _connection(parts, max(0.001, deadline - monotonic()), context)
    try:
        connection.connect()
        fetched = _ask(connection, parts, deadline, terms)
    except gaierror as error:
        raise FetchError(f"the name {parts.hostname} cannot be resolved") from error
    except (OSError, HTTPException, ValueError) as error:
        late = " in time" if monotonic() >= deadline else ""
        raise FetchError(f"{parts.netloc} does not answer{late}: {type(error).__name__}") from error
    finally:
        connection.close()
    if monotonic() >= deadline:  # what was cut off may look like a whole
        raise FetchError(f"{parts.netloc} does not answer in time")
    return fetched


def _connection(parts: SplitResult, timeout: float, context: ssl.SSLContext) -> HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "https":
        return HTTPSConnection(host, parts.port, timeout=timeout, context=context)
    return HTTPConnection(host, parts.port, timeout=timeout)


def _ask(connection: HTTPConnection, parts: SplitResult, deadline: float, terms: Terms) -> Fetched:
    # The socket's own timeout begins anew with every byte that drips in; this one does not.
    guard = Timer(max(0.0, deadline - monotonic()), _hang_up, [connection.sock])
    guard.daemon = True
    guard.start()
    try:
        return _exchange(connection, parts, terms)
    finally:
        guard.cancel()


def _exchange(connection: HTTPConnection, parts: SplitResult, terms: Terms) -> Fetched:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {**terms.headers, "accept-encoding": "identity"}
    form = terms.form
    if form is None:
        connection.request("GET", target, headers=headers)
    else:
        headers |= {"content-type": "application/x-www-form-urlencoded"}
        headers |= {"authorization": form.authorization} if form.authorization else {}
        connection.request("POST", target, form.body, headers)
    with connection.getresponse() as response:
        max_age, etag = _max_age(response.headers.get("cache-control", "")), response.headers.get("etag", "")
        if response.status == 304 and "if-none-match" in terms.headers:
            return Fetched(b"", max_age, etag, unchanged=True)
        if response.status != 200:
            remedy = "; redirects are not followed" if 300 <= response.status < 400 else ""
            raise FetchError(f"{parts.netloc} answers {response.status}{remedy}")
        return Fetched(_read(response, parts.netloc, terms.max_bytes), max_age, etag)


def _read(response: HTTPResponse, server: str, max_bytes: int) -> bytes:
    document = bytearray()
    while chunk := response.read1(_CHUNK):
        document += chunk
        if len(document) > max_bytes:
            raise FetchError(f"{server} sends more than {max_bytes} bytes")
    if response.length:
        raise FetchError(f"{server} breaks off")
    return bytes(document)


def _hang_up(connection: socket) -> None:
    with suppress(OSError):  # it has just ended by itself
        connection.shutdown(SHUT_RDWR)


def _max_age(cache_control: str) -> float | None:
    for directive in cache_control.lower().split(","):
        name, _, value = directive.strip().partition("=")
        if name in {"no-cache", "no-store"}:
            return 0.0
        digits = value.strip('" ')
        if name == "max-age" and digits.isascii() and digits.isdecimal():
            return float(digits[:10])
    return None
