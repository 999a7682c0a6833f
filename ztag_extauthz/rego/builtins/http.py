"""`http.send`: one request to a host that the caller of the engine names, within the deadline, and nothing else.

There is no proxy, no redirect, no cache beyond the evaluation, and no certificate but the system's.
"""

import http.client
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from socket import SHUT_RDWR, create_connection, socket
from threading import Timer
from time import perf_counter
from typing import Any, Final
from urllib.parse import urlsplit

from ztag_extauthz.rego.builtins.encoding import parse_json
from ztag_extauthz.rego.builtins.golang.duration import parse_duration
from ztag_extauthz.rego.builtins.golang.text import to_bytes, to_text
from ztag_extauthz.rego.builtins.interface import Context, builtin, json_text, obj
from ztag_extauthz.rego.documents import dumps
from ztag_extauthz.rego.errors import BuiltinError, EvaluationError, LimitError, OperandError
from ztag_extauthz.rego.values import Value, int64, key, make_set, unkey

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_SECONDS: Final = 5.0
_MAX_BODY: Final = 1_000_000
_OWN_HEADERS: Final = ("host", "content-length", "transfer-encoding", "connection", "upgrade")
_SERVED: Final = ("method", "url", "body", "raw_body", "headers", "timeout", "raise_error", "force_json_decode")
_IDLE: Final = ("enable_redirect", "tls_insecure_skip_verify", "force_yaml_decode", "cache", "force_cache")
_OTHERS: Final = (
    "tls_use_system_certs",
    "tls_ca_cert",
    "tls_ca_cert_file",
    "tls_ca_cert_env_variable",
    "tls_client_cert",
    "tls_client_cert_file",
    "tls_client_cert_env_variable",
    "tls_client_key",
    "tls_client_key_file",
    "tls_client_key_env_variable",
    "tls_server_name",
    "force_cache_duration_seconds",
    "caching_mode",
    "max_retry_attempts",
    "cache_ignored_headers",
)


def unsupported(what: str) -> EvaluationError:
    return EvaluationError("rego_unsupported_error", f"http.send {what}")


@dataclass(frozen=True, slots=True)
class Target:
    secure: bool
    host: str
    port: int | None
    path: str

    @classmethod
    def of(cls, url: str, hosts: frozenset[str]) -> "Target":
        """Take a URL apart; one that leads elsewhere than to a named host ends the evaluation."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise unsupported("takes no URL that is written so") from None
        if parts.username is not None or any(ord(character) <= 0x20 or ord(character) > 0x7E for character in url):
            raise unsupported("takes no URL that is written so")
        if not {host, f"{host}:{port}"} & hosts:
            raise unsupported("asks a host that the settings do not name")
        if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
            raise unsupported("asks by https alone, but for loopback")
        return cls(
            parts.scheme == "https", host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        )


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: Target
    body: bytes | None
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = _SECONDS
    decode: bool = False


@builtin("http.send", context=True, pure=False)
def send(context: Context, request: Value) -> Value:
    own = "http.send", key(obj(request, 1))
    if own not in context.cache:
        context.cache[own] = _answer(context, request)
    return context.cache[own]


def _answer(context: Context, request: dict[Any, Value]) -> Value:
    forgiving = request.get("raise_error") is False
    try:
        return _exchange(context, _read(request, context.http_hosts))
    except (OSError, http.client.HTTPException, ssl.SSLError) as error:
        context.check()
        if not forgiving:
            raise BuiltinError(f"http.send: {type(error).__name__}") from None
        reason = {"code": "eval_http_send_network_error", "message": type(error).__name__}
        return {"status_code": 0, "error": reason}


def _read(request: dict[Any, Value], hosts: frozenset[str]) -> Request:
    """Check a request as OPA does; what is not served here ends the evaluation."""
    names = [unkey(form) for form in request]
    unknown = [name for name in names if name not in (*_SERVED, *_IDLE, *_OTHERS)]
    if unknown:
        raise OperandError(f"operand 1 invalid request parameters(s): {dumps(make_set(unknown))}")
    missing = [name for name in ("method", "url") if name not in names]
    if missing:
        raise OperandError(f"operand 1 missing required request parameters(s): {dumps(make_set(missing))}")
    for name in names:
        if name in _OTHERS or (name in _IDLE and request[name] is not False):
            raise unsupported(f"does not take {name}")
    method = _text(request, "method").upper()
    if method not in _METHODS:
        raise unsupported("does not take this method")
    body = to_bytes(_text(request, "raw_body")) if "raw_body" in request else None
    if body is None and "body" in request:
        body = to_bytes(json_text(request["body"]))
    return Request(
        method,
        Target.of(_text(request, "url"), hosts),
        body,
        _headers(request.get("headers", {})),
        _timeout(request.get("timeout", 0)),
        request.get("force_json_decode") is True,
    )


def _text(request: dict[Any, Value], name: str) -> str:
    if request[name].__class__ is not str:
        raise BuiltinError(f'"{name}" must be a string')
    return request[name]  # type: ignore[no-any-return]


def _headers(headers: Value) -> dict[str, str]:
    if headers.__class__ is not dict:
        raise BuiltinError("invalid type for headers, must be object")
    given = {unkey(name): value for name, value in headers.items()}
    if not all(isinstance(name, str) and isinstance(value, str) for name, value in given.items()):
        raise BuiltinError("invalid type for headers value, must be string")
    for name, value in given.items():
        if name.lower() in _OWN_HEADERS or not (name + value).isascii() or not (name + value).isprintable():
            raise unsupported("does not take such a header")
    return {"User-Agent": "ztag", "Accept-Encoding": "identity", **given}


def _timeout(value: Value) -> float:
    if value.__class__ is str:
        try:
            nanoseconds = int64(parse_json(value)) if value.isdecimal() else parse_duration(value)
        except ValueError:
            nanoseconds = None
    else:
        nanoseconds = int64(value)
    if nanoseconds is None or nanoseconds < 0:
        raise BuiltinError("invalid timeout value")
    return nanoseconds / 1e9 if nanoseconds else _SECONDS


def _exchange(context: Context, request: Request) -> Value:
    context.check()
    begun = perf_counter()
    seconds = min((context.deadline or begun) - begun, request.seconds)
    opened: list[socket] = []
    # The timeout of a socket is one for each wait; this one is for all of them together.
    timer = Timer(seconds, _stop, [opened])
    timer.daemon = True
    timer.start()
    try:
        connection = _connect(request.target, seconds, opened)
        connection.request(request.method, request.target.path, request.body, request.headers)
        shown = _shown(connection.getresponse(), decode=request.decode)
        # What the timer cuts off can look like the end of an answer.
        if perf_counter() >= begun + seconds:
            raise TimeoutError
        return shown
    finally:
        timer.cancel()
        for each in opened:
            each.close()


def _connect(target: Target, seconds: float, opened: list[socket]) -> http.client.HTTPConnection:
    """Connect; each socket stands in `opened` before anything is read from it."""
    port = target.port or (443 if target.secure else 80)
    opened.append(create_connection((target.host, port), seconds))
    if not target.secure:
        connection = http.client.HTTPConnection(target.host, target.port)
    else:
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(target.host, target.port, context=context)
        secured = context.wrap_socket(opened[0], server_hostname=target.host, do_handshake_on_connect=False)
        opened.append(secured)
        secured.do_handshake()
    connection.sock = opened[-1]
    return connection


def _stop(opened: list[socket]) -> None:
    for each in opened:
        with suppress(OSError):
            each.shutdown(SHUT_RDWR)


def _shown(response: http.client.HTTPResponse, *, decode: bool) -> Value:
    body = response.read(_MAX_BODY + 1)
    if len(body) > _MAX_BODY:
        raise LimitError("the answer to http.send is too large")
    if response.length:  # cut off by the end of the time, or by the other side
        raise http.client.IncompleteRead(body)
    headers: dict[Any, list[Value]] = {}
    for name, value in response.getheaders():
        headers.setdefault(name.lower(), []).append(value)
    return {
        "status": f"{response.status} {response.reason}",
        "status_code": response.status,
        "body": _body(body, headers.get("content-type", [""])[0], decode=decode),
        "raw_body": to_text(body),
        "headers": headers,
    }


def _body(data: bytes, kind: str, *, decode: bool) -> Value:
    if "application/yaml" in kind or "application/x-yaml" in kind:
        raise unsupported("does not read YAML")
    name = kind.partition(";")[0].strip().lower()
    if not decode and name != "application/json" and not (name.startswith("application/") and name.endswith("+json")):
        return None
    try:
        return parse_json(to_text(data))
    except BuiltinError:
        return None
