"""Uploads of JSON arrays, gzipped, to an HTTP(S) endpoint; with retries until there is an answer, or an end."""

import gzip
import http.client
import ssl
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Final
from urllib.parse import urlsplit

from ztag_extauthz.errors import Mistake, SettingsError
from ztag_extauthz.hosts import is_loopback

FIRST_REST: Final = 0.5
LONGEST_REST: Final = 30.0
TIMEOUT: Final = 10.0
"""Seconds for one try."""
_AGAIN: Final = frozenset({408, 429, *range(500, 600)})


class RefusedError(OSError):
    """The collector answers, and will not take this however often it is asked."""


def pack(events: Sequence[bytes]) -> bytes:
    """Return the body of one upload: JSON documents as a gzipped array."""
    return gzip.compress(b"[" + b",".join(events) + b"]", compresslevel=5)


class Collector:
    """Posts to one address; for one thread, which may wait."""

    def __init__(self, url: str, token: str, ca: Path | None) -> None:
        """Read the authorities. Raises `SettingsError`."""
        self._parts = urlsplit(url)
        self._path = self._parts.path.rstrip("/") + "/logs"
        self._headers = {"content-type": "application/json", "content-encoding": "gzip"}
        if token:
            self._headers["authorization"] = f"Bearer {token}"
        self._tls = None
        if self._parts.scheme == "https":
            try:
                self._tls = ssl.create_default_context(cafile=None if ca is None else str(ca))
            except OSError as error:
                what = f"cannot be read: {error.strerror or error}"
                raise SettingsError((Mistake(str(ca), what, "", "ca"),)) from error

    def upload(self, body: bytes, closing: Event) -> None:
        """Upload what was packed; raises `RefusedError`, or `OSError` where `closing` is set before it was taken."""
        rest = FIRST_REST
        while True:
            status = self._post(body)
            if status is not None and 200 <= status < 300:
                return
            if status is not None and status not in _AGAIN:
                raise RefusedError(status, f"the collector answers {status}")
            if closing.wait(rest):
                raise OSError(
                    0, "the collector does not answer" if status is None else f"the collector answers {status}"
                )
            rest = min(rest * 2, LONGEST_REST)

    def _post(self, body: bytes) -> int | None:
        """Return the status of one try; None where there was no answer."""
        host, port = self._parts.hostname or "", self._parts.port
        connection: http.client.HTTPConnection = (
            http.client.HTTPConnection(host, port, timeout=TIMEOUT)
            if self._tls is None
            else http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=self._tls)
        )
        try:
            connection.request("POST", self._path, body, self._headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


def check_url(url: str) -> str:
    """Return an address that may be uploaded to; raises `ValueError`."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username:
        raise ValueError("no address of a collector\nwrite https://collector.example; /logs is appended")
    _ = parts.port  # raises for one that is no number
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("decisions would travel in plain text\nwrite https://…; http is for loopback")
    return url
