"""A token's three parts."""

from dataclasses import dataclass, field

from ztag_extauthz.rego.builtins.encoding import decode_base64url, parse_json
from ztag_extauthz.rego.builtins.golang.text import to_bytes, to_text
from ztag_extauthz.rego.builtins.interface import string
from ztag_extauthz.rego.errors import BuiltinError
from ztag_extauthz.rego.values import Value


@dataclass(frozen=True, slots=True)
class Token:
    header: str
    payload: str
    signature: str

    @property
    def signed(self) -> bytes:
        return to_bytes(f"{self.header}.{self.payload}")

    def decoded_header(self) -> dict[str, Value]:
        header = json_object(to_text(decode_base64url(self.header)))
        if "enc" in header:
            raise BuiltinError("JWT is a JWE object, which is not supported")
        return header

    def decoded_payload(self) -> str:
        return to_text(decode_base64url(self.payload))

    def decoded_signature(self) -> bytes:
        return decode_base64url(self.signature)


def parse_token(value: Value) -> Token:
    parts = string(value, 1).split(".")
    if len(parts) == 1:
        raise BuiltinError("encoded JWT had no period separators")
    if len(parts) != 3:
        raise BuiltinError(f"encoded JWT must have 3 sections, found {len(parts)}")
    return Token(*parts)


def json_object(text: str) -> dict[str, Value]:
    value = parse_json(text)
    if value.__class__ is not dict:
        raise BuiltinError("decoded JSON type was not an Object")
    return value


@dataclass(slots=True)
class Header:
    """What of a header decides about a token."""

    algorithm: str = ""
    key_identifier: str = ""
    content_type: str = ""
    critical: frozenset[str] = frozenset()
    unknown: list[str] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        """An algorithm is named, and nothing critical is unknown (RFC 7515, 4.1.1 and 4.1.11)."""
        return bool(self.algorithm) and not self.critical & frozenset(self.unknown)


def read_header(header: dict[str, Value]) -> Header:
    texts = {}
    for name in ("alg", "kid", "typ", "cty"):
        texts[name] = header.get(name, "")
        if texts[name].__class__ is not str:
            raise BuiltinError(f"{name}: must be a string")
    unknown = [name for name in header if name not in ("alg", "kid", "typ", "cty", "crit")]
    critical = _critical(header["crit"]) if "crit" in header else frozenset()
    return Header(texts["alg"], texts["kid"], texts["cty"], critical, unknown)


def _critical(value: Value) -> frozenset[str]:
    if value.__class__ is not list:
        raise BuiltinError("crit: must be a list")
    names = []
    for name in value:
        if name.__class__ is not str:
            break
        names.append(name)
    if not names:
        raise BuiltinError("crit: must be a nonempty list")
    return frozenset(names)
