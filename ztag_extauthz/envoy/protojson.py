"""CheckRequest and CheckResponse as people write and read them: protobuf's JSON mapping."""

from typing import Any

from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from google.protobuf.json_format import MessageToDict, Parse, ParseError

from ztag_extauthz.errors import MessageError


def check_request(text: str) -> bytes:
    """Return an encoded CheckRequest. Raises `MessageError` where the JSON is none."""
    try:
        return bytes(Parse(text, CheckRequest()).SerializeToString())
    except ParseError as error:
        raise MessageError(f"no CheckRequest in JSON: {error}") from None


def check_response(message: bytes) -> dict[str, Any]:
    """Return an encoded CheckResponse as JSON values."""
    document: dict[str, Any] = MessageToDict(CheckResponse.FromString(message))
    return document
