"""CheckRequest and CheckResponse as people write and read them: protobuf's JSON mapping."""

import json
from typing import Any

from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from ztag_extauthz.errors import MessageError


def check_request(text: str) -> bytes:
    """Return an encoded CheckRequest. Raises `MessageError` where the JSON is none."""
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            raise ParseError("not an object")  # noqa: TRY301 - told like any other
        return bytes(ParseDict(document, CheckRequest()).SerializeToString())
    except (ParseError, ValueError) as error:
        raise MessageError(f"no CheckRequest in JSON: {error}") from None


def check_response(message: bytes) -> dict[str, Any]:
    """Return an encoded CheckResponse as JSON values."""
    document: dict[str, Any] = MessageToDict(CheckResponse.FromString(message))
    return document
