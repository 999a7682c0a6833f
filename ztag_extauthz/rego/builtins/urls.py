"""URLs and query strings, as Go's `net/url` reads them."""

import re
from typing import Any, Final
from urllib.parse import quote_from_bytes

from ztag_extauthz.rego.builtins.golang.text import to_bytes, to_text
from ztag_extauthz.rego.builtins.golang.url import URLError, parse_url
from ztag_extauthz.rego.builtins.interface import builtin, check_size, json_text, obj, string
from ztag_extauthz.rego.errors import BuiltinError, OperandError
from ztag_extauthz.rego.pace import spend
from ztag_extauthz.rego.values import Value, members, unkey

_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9a-fA-F]{2})")
_ESCAPE: Final = re.compile(rb"%([0-9a-fA-F]{2})")


def query_escape(text: str) -> str:
    return quote_from_bytes(to_bytes(text), safe=" ").replace(" ", "+")


def query_unescape(text: str) -> str:
    data = to_bytes(text)
    if _BAD_ESCAPE.search(data):
        raise BuiltinError("invalid URL escape")
    return to_text(_ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), data.replace(b"+", b" ")))


@builtin("urlquery.encode")
def encode(text: Value) -> Value:
    return query_escape(string(text, 1))


@builtin("urlquery.decode")
def decode(text: Value) -> Value:
    return query_unescape(string(text, 1))


@builtin("urlquery.encode_object")
def encode_object(value: Value) -> Value:
    pairs: list[tuple[str, Value]] = []
    for form, texts in obj(value, 1).items():
        name = form if form.__class__ is str else json_text(unkey(form), escape_html=False)
        if texts.__class__ is frozenset:
            texts = members(texts)  # noqa: PLW2901
        elif texts.__class__ is not list:
            texts = [texts]  # noqa: PLW2901
        pairs += [(name, text) for text in texts]
    if any(text.__class__ is not str for _, text in pairs):
        raise OperandError("operand 1 values must be string, array[string], or set[string]")
    pairs.sort(key=lambda pair: pair[0])
    parts, size = [], 0
    for name, text in pairs:
        spend(1)
        parts.append(f"{query_escape(name)}={query_escape(text)}")
        size += len(parts[-1]) + 1
        check_size(size)
    return "&".join(parts)


@builtin("urlquery.decode_object")
def decode_object(text: Value) -> Value:
    result: dict[Any, list[Value]] = {}
    for pair in string(text, 1).split("&"):
        if ";" in pair:
            raise BuiltinError("invalid semicolon separator in query")
        spend(1)
        if pair:
            name, _, value = pair.partition("=")
            result.setdefault(query_unescape(name), []).append(query_unescape(value))
    return result


@builtin("uri.parse")
def uri_parse(text: Value) -> Value:
    try:
        return parse_url(string(text, 1))
    except URLError as error:
        raise BuiltinError(str(error)) from None


@builtin("uri.is_valid")
def uri_is_valid(text: Value) -> Value:
    if text.__class__ is not str or not text:
        return False
    try:
        parse_url(text)
    except URLError:
        return False
    return True
