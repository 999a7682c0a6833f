"""Hashes and message authentication codes."""

import hashlib
import hmac

from ztag_extauthz.rego.builtins.golang.text import to_bytes
from ztag_extauthz.rego.builtins.interface import builtin, string
from ztag_extauthz.rego.values import Value


def _register(algorithm: str, *, hashed: bool) -> None:
    def hash_text(text: Value) -> Value:
        return hashlib.new(algorithm, to_bytes(string(text, 1)), usedforsecurity=False).hexdigest()

    def authenticate(text: Value, key: Value) -> Value:
        message = to_bytes(string(text, 1))
        return hmac.new(to_bytes(string(key, 2)), message, algorithm).hexdigest()

    if hashed:
        builtin(f"crypto.{algorithm}")(hash_text)
    builtin(f"crypto.hmac.{algorithm}")(authenticate)


for _name in ("md5", "sha1", "sha256"):
    _register(_name, hashed=True)
_register("sha512", hashed=False)


@builtin("crypto.hmac.equal")
def hmac_equal(left: Value, right: Value) -> Value:
    ours, theirs = to_bytes(string(left, 1)), to_bytes(string(right, 2))
    return hmac.compare_digest(ours, theirs)
