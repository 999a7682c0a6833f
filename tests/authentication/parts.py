"""Real keys, real tokens and a real key server, for the tests of this folder."""

import base64
import json
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeAlias

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from tests.requests import make_request
from ztag_extauthz.component import Resources
from ztag_extauthz.meter import SERIES, Meter, Name
from ztag_extauthz.model import Request

ISSUER = "https://issuer.example"
NOW = 1_800_000_000.0
FOREVER = 1e18
"""A deadline that no test reaches."""
ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA")


def conformance(name: str) -> Any:
    """Return a document of the published test vectors; they are not part of the repository (CONTRIBUTING.md)."""
    folder = os.environ.get("ZTAG_VECTORS")
    if not folder:
        pytest.skip(f"no published test vectors: set ZTAG_VECTORS to the folder that has {name}")
    return json.loads(Path(folder, name).read_text())


class Clock:
    """A clock that stands still until told."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class CountingMeter(Meter):
    """A meter that can be read by name."""

    def value(self, name: Name, *labels: str) -> float:
        return self._cells[SERIES[name, labels]]


def resources(folder: Path, clock: Clock | None = None, meter: Meter | None = None) -> Resources:
    return Resources(folder, clock or Clock(), meter or CountingMeter())


@cache
def private_key(algorithm: str, name: str = "") -> PrivateKeyTypes:  # noqa: ARG001 - another name is another key
    """Return the key for an algorithm, generated once."""
    match algorithm[:2]:
        case "RS" | "PS":
            return rsa.generate_private_key(65537, 2048)
        case "ES":
            curves: dict[str, ec.EllipticCurve] = {
                "ES256": ec.SECP256R1(),
                "ES384": ec.SECP384R1(),
                "ES512": ec.SECP521R1(),
            }
            return ec.generate_private_key(curves[algorithm])
        case _:
            return ed448.Ed448PrivateKey.generate() if algorithm == "Ed448" else ed25519.Ed25519PrivateKey.generate()


def jwk(algorithm: str, name: str = "", **members: Any) -> dict[str, Any]:
    """Return the public part, with `kid` = algorithm + name; a member that is None is left out."""
    maker = pyjwt.get_algorithm_by_name("EdDSA" if algorithm.startswith("Ed") else algorithm)
    document = json.loads(maker.to_jwk(private_key(algorithm, name).public_key()))
    document.pop("key_ops", None)
    document.pop("use", None)
    document |= {"kid": f"{algorithm}{name}", **members}
    return {key: value for key, value in document.items() if value is not None}


def key_set(*jwks: Mapping[str, Any]) -> bytes:
    return json.dumps({"keys": jwks}).encode()


def claims(**changes: Any) -> dict[str, Any]:
    """Return good claims with changes; a claim that is None is left out."""
    times = {"iat": int(NOW), "nbf": int(NOW), "exp": int(NOW) + 600}
    good = {"iss": ISSUER, "sub": "alice", "aud": ["mesh"], "client_id": "shop", "jti": "1", **times}
    return {name: value for name, value in (good | changes).items() if value is not None}


def token(algorithm: str = "RS256", name: str = "", header: Mapping[str, Any] | None = None, **changes: Any) -> str:
    """Return a token signed by PyJWT, an implementation that is not ours."""
    fields = {"kid": f"{algorithm}{name}", "typ": "at+jwt", **(header or {})}
    signer = "EdDSA" if algorithm.startswith("Ed") else algorithm
    return pyjwt.encode(claims(**changes), private_key(algorithm, name), signer, headers=fields)  # type: ignore[arg-type]


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(header: bytes, payload: bytes, algorithm: str = "RS256", name: str = "") -> str:
    """Sign whatever bytes, so that nothing but their form can be wrong."""
    signed = f"{encode(header)}.{encode(payload)}"
    maker = pyjwt.get_algorithm_by_name(algorithm)
    return f"{signed}.{encode(maker.sign(signed.encode(), private_key(algorithm, name)))}"


def request(authorization: str | None = None, path: str = "/", **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if authorization is not None:
        named["authorization"] = authorization
    return make_request(host="api.example", path=path, protocol="HTTP/2", headers=named)


Answer: TypeAlias = "tuple[int, Mapping[str, str], bytes] | Callable[[BaseHTTPRequestHandler], None]"


class KeyServer:
    """An HTTP server on loopback that answers as a test tells it."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                server.asked.append(self.path)
                answer = server.answers.get(self.path, (404, {}, b""))
                if callable(answer):
                    answer(self)
                    return
                status, headers, body = answer
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that hangs up is part of the tests."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def serve(self, path: str, body: bytes, status: int = 200, **headers: str) -> None:
        self.answers[path] = (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)

    def speak_tls(self, certificate: Path, key: Path) -> None:
        """Serve https from now on, as localhost."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator["KeyServer"]:
        thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.stop()
            thread.join()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
