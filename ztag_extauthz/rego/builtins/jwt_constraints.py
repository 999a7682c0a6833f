"""`io.jwt.decode_verify`: a token verified, and its claims held against constraints.

Steps 1 to 3 find out whether it can be answered at all; from there on an answer is `[valid, header, payload]`:
1. constraints: all of them known, exactly one kind of key among them
2. the token's parts, header and algorithm
3. the signature; a token within the token goes round again
4. the claims `iss`, `aud`, `exp` and `nbf`
"""

from dataclasses import dataclass
from typing import Any, Final

from ztag_extauthz.rego.builtins.golang.floats import format_float
from ztag_extauthz.rego.builtins.golang.text import to_bytes
from ztag_extauthz.rego.builtins.interface import Context, builtin, obj
from ztag_extauthz.rego.builtins.jose.keys import Key, verification_keys
from ztag_extauthz.rego.builtins.jose.signatures import verify
from ztag_extauthz.rego.builtins.jose.tokens import Header, Token, json_object, parse_token, read_header
from ztag_extauthz.rego.documents import parse_number
from ztag_extauthz.rego.errors import BuiltinError, EvaluationError
from ztag_extauthz.rego.values import Value, compare, is_number

_MAX_NESTING: Final = 10
_TEXTS: Final = ("secret", "alg", "iss", "aud")


@dataclass(slots=True)
class _Constraints:
    keys: tuple[Key, ...] | None
    secret: str
    algorithm: str
    issuer: str
    audience: str
    seconds: Value  # now, or the time to verify for


@builtin("io.jwt.decode_verify", context=True)
def decode_verify(context: Context, text: Value, constraints: Value) -> Value:
    wanted = _read(context, obj(constraints, 2))
    for _ in range(_MAX_NESTING):
        token = parse_token(text)
        fields = token.decoded_header()
        header = read_header(fields)
        if not header.valid or wanted.algorithm not in ("", header.algorithm):
            return _refused()
        if not _trusted(wanted, header, token):
            return _refused()
        payload = token.decoded_payload()
        if header.content_type.lower() != "jwt":
            claims = json_object(payload)
            return [True, fields, claims] if _accepted(wanted, claims) else _refused()
        text = payload
    raise EvaluationError("eval_limit_error", "io.jwt.decode_verify: tokens are nested too deeply")


def _refused() -> list[Value]:
    return [False, {}, {}]


def _read(context: Context, options: dict[Any, Value]) -> _Constraints:
    for name, value in options.items():
        if name not in ("cert", "time", *_TEXTS):
            raise BuiltinError(f"unknown token validation constraint: {name}")
        if name != "time" and value.__class__ is not str:
            raise BuiltinError(f"{name} constraint: must be a string")
    keys = verification_keys(options["cert"]) if "cert" in options else None
    secret, algorithm, issuer, audience = (options.get(name, "") for name in _TEXTS)
    if keys is not None and secret:
        raise BuiltinError("duplicate key constraints")
    if keys is None and not secret:
        raise BuiltinError("no key constraint")
    return _Constraints(keys, secret, algorithm, issuer, audience, _seconds(options.get("time", context.now_ns)))


def _seconds(nanoseconds: Value) -> Value:
    """Give seconds as OPA calculates them: by a float of 64 bits."""
    if not is_number(nanoseconds):
        raise BuiltinError("token time constraint: must be a number")
    try:
        number = float(nanoseconds)
    except OverflowError:
        raise BuiltinError("token time constraint: unvalid float64") from None
    if number < 0:
        raise BuiltinError("token time constraint: must not be negative")
    return parse_number(format_float(number / 1_000_000_000, "g"))


def _trusted(wanted: _Constraints, header: Header, token: Token) -> bool:
    signature = token.decoded_signature()
    if wanted.keys is None:
        return verify(to_bytes(wanted.secret), header.algorithm, token.signed, signature)
    if header.key_identifier:
        for key in wanted.keys:
            if key.identifier == header.key_identifier:
                return verify(key.material, header.algorithm, token.signed, signature)
    return any(
        verify(key.material, header.algorithm, token.signed, signature)
        for key in wanted.keys
        if key.algorithm in ("", header.algorithm)
    )


def _accepted(wanted: _Constraints, claims: dict[str, Value]) -> bool:
    if wanted.issuer and not _issued_by(claims.get("iss"), wanted.issuer):
        return False
    if not _meant_for(claims, wanted.audience):
        return False
    for name in ("exp", "nbf"):
        if name in claims and not is_number(claims[name]):
            raise BuiltinError(f"{name} value must be a number")
    if "exp" in claims and compare(wanted.seconds, claims["exp"]) >= 0:
        return False
    return "nbf" not in claims or compare(wanted.seconds, claims["nbf"]) >= 0


def _issued_by(issuer: Value, wanted: str) -> bool:
    if issuer is not None and issuer.__class__ is not str:
        raise EvaluationError("eval_unsupported_error", "io.jwt.decode_verify: iss must be a string")  # OPA crashes
    return bool(issuer == wanted)


def _meant_for(claims: dict[str, Value], audience: str) -> bool:
    """Tell whether the audience fits; a token that names one is for it alone, also where none is asked for."""
    if "aud" not in claims:
        return not audience
    named = claims["aud"]
    if named.__class__ is list:
        return any(name.__class__ is str and name == audience for name in named)
    return named.__class__ is str and bool(named == audience)
