"""A JSON Web Key Set (RFC 7517 5), read once, ready to verify."""

from collections.abc import Mapping, Sequence
from typing import Any

from ztag_extauthz.authentication.jose.algorithms import Verify, prepare
from ztag_extauthz.authentication.jose.text import decode_object

MAX_KEYS = 100
SECRET_PARTS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")


class KeySetError(Exception):
    """The document is no key set that can be trusted; the message says why and holds no key."""


class KeySet:
    """The verifiers of one document. Its identity stands for the document: another document is another object."""

    def __init__(self, document: bytes, algorithms: Sequence[str], use: str | None = None) -> None:
        """Read a document; of its keys only what fits the `algorithms` is kept. Raises `KeySetError`.

        `use`: what each key has to say that it is for; None: `sig`, where it says anything.
        """
        self.document = document
        self._verifiers: dict[tuple[str | None, str], Verify | None] = {}
        self._key_ids: set[str | None] = set()
        unusable: list[str] = []
        for index, jwk in enumerate(_keys(document)):
            try:
                _check_purpose(jwk, use)
                self._add(jwk.get("kid"), prepare(jwk), algorithms)
            except ValueError as error:
                unusable.append(f"keys[{index}]: {error}")
        if not any(self._verifiers.values()):
            raise KeySetError("; ".join(["no key can verify a token", *unusable]))

    def knows(self, key_id: str | None) -> bool:
        """Return whether any key of the set has this `kid`."""
        return key_id in self._key_ids

    def verifier(self, key_id: str | None, algorithm: str) -> Verify | None:
        """Return the one key that a token means, or None. Without a `kid` it means the only key that would fit."""
        return self._verifiers.get((key_id, algorithm))

    def _add(self, key_id: str | None, verifiers: Mapping[str, Verify], algorithms: Sequence[str]) -> None:
        fitting = {name: verify for name, verify in verifiers.items() if name in algorithms}
        if not fitting:
            raise ValueError("it fits none of the algorithms in the settings")
        self._key_ids |= {key_id, None}
        for name, verify in fitting.items():
            if key_id is not None:
                self._verifiers[key_id, name] = verify
            # A second key that would fit leaves a token without `kid` ambiguous.
            self._verifiers[None, name] = None if (None, name) in self._verifiers else verify


def _keys(document: bytes) -> Sequence[Mapping[str, Any]]:
    """Return the keys of a document that is wholly as it should be."""
    try:
        keys = decode_object(document).get("keys")
    except ValueError as error:
        raise KeySetError(f"the key set cannot be read: {error}") from error
    if not isinstance(keys, list) or not keys or len(keys) > MAX_KEYS:
        raise KeySetError(f"the key set does not have 1 to {MAX_KEYS} keys")
    seen: set[str] = set()
    for index, jwk in enumerate(keys):
        if not isinstance(jwk, dict):
            raise KeySetError(f"keys[{index}] is not an object")
        if jwk.get("kty") == "oct" or any(part in jwk for part in SECRET_PARTS):
            # Whoever can read the set could sign with it.
            raise KeySetError(f"keys[{index}] is a symmetric or a private key")
        key_id = jwk.get("kid")
        if key_id is not None and (not isinstance(key_id, str) or key_id in seen):
            raise KeySetError(f"keys[{index}] has a kid that is not text or occurs twice")
        seen |= {key_id} if key_id is not None else set()
    return keys


def _check_purpose(jwk: Mapping[str, Any], use: str | None) -> None:
    if jwk.get("use", "sig" if use is None else "") != (use or "sig"):
        raise ValueError(f"its use is not {use or 'sig'}")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise ValueError("its key_ops do not include verify")
