"""`parsed_body` and `truncated_body`, by the content type, as opa-envoy-plugin parses them.

The content type is searched for as a substring, with its case: `application/jsonp` is JSON, `Application/JSON` is not.
"""

import re
from typing import Any, Final

from ztag_extauthz.authorization.input import go_json, go_multipart, go_url
from ztag_extauthz.authorization.input.grpc_body import ProtoDescriptor
from ztag_extauthz.authorization.input.parse_error import ParseError
from ztag_extauthz.model import Request

MAX_BYTES: Final = 256 * 1024
"""The slowest JSON of this size takes about an eighth of a second."""

_INTEGER: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INT64: Final = range(-(2**63), 2**63)


def parse(request: Request, parsed_path: list[str], descriptor: ProtoDescriptor | None) -> tuple[Any, bool]:
    """Return the body, or None where it is not understood, and whether it is cut; raises `ParseError`."""
    if request.partial:
        return None, True
    content_type = request.headers.get("content-type", "")
    if "application/grpc" in content_type and "application/json" not in content_type:
        _refuse_large(request.body or b"")
        if descriptor is None or _is_text(request):
            return None, False
        return descriptor.parse(request.body or b"", parsed_path)
    parser = _parser(content_type)
    if parser is None or not request.body:
        return None, False
    if _truncated(request.headers.get("content-length"), len(request.body)):
        return None, True
    _refuse_large(request.body)
    return parser(request.body, content_type), False


def _is_text(request: Request) -> bool:
    """Tell whether Envoy sent the body as text (without `pack_as_bytes`): that loses what makes it a gRPC message."""
    return "body" in request.attributes("request").get("request", {}).get("http", {})


def _refuse_large(body: bytes) -> None:
    """Nothing else can be decided while a body is parsed."""
    if len(body) > MAX_BYTES:
        raise ParseError("the body is too large to be parsed")


def _parser(content_type: str) -> Any:
    if "application/json" in content_type:
        return _json
    if "application/x-www-form-urlencoded" in content_type:
        return _form
    if "multipart/form-data" in content_type:
        return go_multipart.parse
    return None


def _json(body: bytes, _: str) -> Any:
    return go_json.loads(go_url.text(body))


def _form(body: bytes, _: str) -> dict[str, list[str]]:
    return go_url.parse_query(go_url.text(body))


def _truncated(content_length: str | None, size: int) -> bool:
    """Compare with what the client announced; raises `ParseError` where that is no number in Go's eyes."""
    if content_length is None:
        return False
    # Bounded before the conversion, whose cost grows with the square of the digits.
    if not _INTEGER.fullmatch(content_length) or len(content_length.lstrip("+-0")) > 19:
        raise ParseError("invalid content-length")
    length = int(content_length)
    if length not in _INT64:
        raise ParseError("invalid content-length")
    return length > size
