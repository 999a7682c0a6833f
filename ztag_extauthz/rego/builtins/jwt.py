"""JSON Web Tokens: decoded, verified by a key, verified by constraints, and made."""

from base64 import urlsafe_b64encode
from typing import Final

from ztag_extauthz.rego.builtins.encoding import is_valid as is_json
from ztag_extauthz.rego.builtins.encoding import parse_json
from ztag_extauthz.rego.builtins.golang.text import to_bytes
from ztag_extauthz.rego.builtins.interface import builtin, json_text, obj, string
from ztag_extauthz.rego.builtins.jose.keys import ALGORITHMS, jwk_set, verification_keys
from ztag_extauthz.rego.builtins.jose.signatures import sign, verify
from ztag_extauthz.rego.builtins.jose.tokens import json_object, parse_token, read_header
from ztag_extauthz.rego.errors import BuiltinError, EvaluationError
from ztag_extauthz.rego.values import Value

_MAX_NESTING: Final = 10


@builtin("io.jwt.decode")
def decode(text: Value) -> Value:
    """Give header, payload and signature, of the innermost token where tokens are nested."""
    for _ in range(_MAX_NESTING):
        token = parse_token(text)
        header, payload = token.decoded_header(), token.decoded_payload()
        content = header.get("cty", "")
        if content.__class__ is not str:
            raise EvaluationError("eval_unsupported_error", "io.jwt.decode: cty must be a string")  # OPA crashes
        if content != "JWT":
            return [header, json_object(payload), token.decoded_signature().hex()]
        text = payload.strip("\"'")
    raise EvaluationError("eval_limit_error", "io.jwt.decode: tokens are nested too deeply")


def _verify(algorithm: str, text: Value, key: Value) -> bool:
    token = parse_token(text)
    keys = verification_keys(string(key, 2))
    signature, header = token.decoded_signature(), read_header(token.decoded_header())
    if header.key_identifier:
        for candidate in keys:
            if candidate.identifier == header.key_identifier:
                return verify(candidate.material, algorithm, token.signed, signature)
    return any(
        verify(candidate.material, algorithm, token.signed, signature)
        for candidate in keys
        if candidate.algorithm in ("", header.algorithm)
    )


def _verify_secret(algorithm: str, text: Value, secret: Value) -> bool:
    string(text, 1)
    material = to_bytes(string(secret, 2))
    token = parse_token(text)
    return verify(material, algorithm, token.signed, token.decoded_signature())


def _register(algorithm: str) -> None:
    check = _verify_secret if algorithm.startswith("HS") else _verify

    @builtin(f"io.jwt.verify_{algorithm.lower()}")
    def verify_token(text: Value, key: Value) -> Value:
        return check(algorithm, text, key)


for _algorithm in sorted(ALGORITHMS):
    _register(_algorithm)


@builtin("io.jwt.encode_sign")
def encode_sign(header: Value, payload: Value, key: Value) -> Value:
    return _signed(json_text(obj(header, 1)), json_text(obj(payload, 2)), json_text(obj(key, 3)))


@builtin("io.jwt.encode_sign_raw")
def encode_sign_raw(header: Value, payload: Value, key: Value) -> Value:
    key = string(key, 3)
    return _signed(string(header, 1), string(payload, 2), key)


def _signed(header: str, payload: str, key: str) -> str:
    try:
        keys = jwk_set(key)
    except ValueError as error:
        raise BuiltinError(str(error)) from None
    if not keys:
        raise BuiltinError("no keys found in JWK set")
    fields = parse_json(header)
    algorithm = fields.get("alg") if fields.__class__ is dict else None
    if algorithm.__class__ is not str:
        raise BuiltinError("missing or invalid 'alg' header")
    if algorithm not in ALGORITHMS:
        raise BuiltinError(f"unknown JWS algorithm: {algorithm}")
    kind = fields.get("typ", "JWT")
    if (kind.__class__ is not str or kind == "JWT") and not is_json(payload):
        raise BuiltinError("type is JWT but payload is not JSON")
    message = f"{_base64url(to_bytes(header))}.{_base64url(to_bytes(payload))}"
    return f"{message}.{_base64url(sign(keys[0].material, algorithm, message.encode()))}"


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
