"""base64, hex and JSON as texts."""

import base64
import json
import re
from typing import Any, Final

from ztag_extauthz.rego.builtins.golang.text import readable, to_bytes, to_text
from ztag_extauthz.rego.builtins.interface import builtin, check_size, json_text, obj, string
from ztag_extauthz.rego.documents import is_json, loads
from ztag_extauthz.rego.errors import BuiltinError, OperandError
from ztag_extauthz.rego.values import Value, type_name, unkey

_STANDARD: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_URL: Final = re.compile(r"[A-Za-z0-9_-]*={0,2}")
_HEXADECIMAL: Final = re.compile(r"(?:[0-9a-fA-F]{2})*")
_SCANNER: Final = json.JSONDecoder()
_SPACE: Final = " \t\r\n"


def decode_base64(text: str, alphabet: re.Pattern[str] = _STANDARD) -> bytes:
    """Decode as Go does: line ends are skipped, padding is needed, loose bits at the end are not looked at."""
    text = text.replace("\r", "").replace("\n", "")
    if len(text) % 4 or not alphabet.fullmatch(text):
        raise BuiltinError("illegal base64 data")
    return base64.b64decode(text, altchars=b"-_" if alphabet is _URL else None)


def decode_base64url(text: str) -> bytes:
    """Decode with or without padding."""
    if not text.endswith("="):
        missing = -len(to_bytes(text)) % 4
        if missing == 3:
            raise BuiltinError("illegal base64url string")
        text += "=" * missing
    return decode_base64(text, _URL)


@builtin("base64.encode")
def base64_encode(text: Value) -> Value:
    return base64.b64encode(to_bytes(string(text, 1))).decode()


@builtin("base64.decode")
def base64_decode(text: Value) -> Value:
    return to_text(decode_base64(string(text, 1)))


@builtin("base64.is_valid")
def base64_is_valid(text: Value) -> Value:
    try:
        decode_base64(string(text, 1))
    except (BuiltinError, OperandError):
        return False
    return True


@builtin("base64url.encode")
def base64url_encode(text: Value) -> Value:
    return base64.urlsafe_b64encode(to_bytes(string(text, 1))).decode()


@builtin("base64url.encode_no_pad")
def base64url_encode_no_pad(text: Value) -> Value:
    return base64.urlsafe_b64encode(to_bytes(string(text, 1))).decode().rstrip("=")


@builtin("base64url.decode")
def base64url_decode(text: Value) -> Value:
    return to_text(decode_base64url(string(text, 1)))


@builtin("hex.encode")
def hex_encode(text: Value) -> Value:
    return to_bytes(string(text, 1)).hex()


@builtin("hex.decode")
def hex_decode(text: Value) -> Value:
    if not _HEXADECIMAL.fullmatch(string(text, 1)):
        raise BuiltinError("encoding/hex: invalid byte or odd length hex string")
    return to_text(bytes.fromhex(text))


@builtin("json.marshal")
def marshal(value: Value) -> Value:
    return json_text(value)


def parse_json(text: str) -> Value:
    """Read JSON; what is no UTF-8 becomes U+FFFD."""
    text = readable(text)
    try:
        return loads(_before_null(text))
    except ValueError as error:
        raise BuiltinError(str(error)) from None


def _before_null(text: str) -> str:
    """Cut off a `null` behind a value, and all behind it: OPA takes it for the end of the text."""
    if "null" not in text:
        return text
    body = text.lstrip(_SPACE)
    try:
        _, end = _SCANNER.raw_decode(body)
    except (ValueError, RecursionError):
        return text
    return body[:end] if body[end:].lstrip(_SPACE).startswith("null") else text


@builtin("json.unmarshal")
def unmarshal(text: Value) -> Value:
    return parse_json(string(text, 1))


@builtin("json.is_valid")
def is_valid(text: Value) -> Value:
    return text.__class__ is str and is_json(readable(text))


@builtin("json.marshal_with_options")
def marshal_with_options(value: Value, options: Value) -> Value:
    settings: dict[str, Any] = {"indent": "\t", "prefix": "", "pretty": None}
    for form, setting in obj(options, 2).items():
        name = unkey(form)
        if name not in settings:
            raise OperandError(f"operand 2 object contained unknown key {name}")
        wanted = "boolean" if name == "pretty" else "string"
        if type_name(setting) != wanted:
            raise OperandError(f"operand 2 key {name} failed cast to {wanted}")
        settings[name] = setting
    pretty = bool(options.keys() & {"indent", "prefix"}) if settings["pretty"] is None else settings["pretty"]
    if not pretty:
        return marshal(value)
    parts: list[str] = [settings["prefix"]]
    _indent(json_text(value), settings["prefix"], settings["indent"], parts)
    return "".join(parts)


_PIECE: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[][{},:]|[^][{},:"]+')


def _indent(text: str, prefix: str, indent: str, parts: list[str]) -> None:
    """Lay JSON out over lines as Go's encoder does."""
    depth, previous, size = 0, "", 0
    for piece in _PIECE.findall(text):
        if piece in "]}":
            depth -= 1
        if (piece in "]}" and previous not in "[{") or (previous and previous in ",[{" and piece not in "]}"):
            parts.append("\n" + prefix + indent * depth)
            size += len(parts[-1])
            check_size(size)
        parts.append(": " if piece == ":" else piece)
        if piece in "[{":
            depth += 1
        previous = piece
