"""The keys of clients, made ready to verify once each."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ztag_extauthz.authentication.jose.algorithms import Verify

MAX_KEYS = 10_000


class ProofKeys:
    """A bounded memory, asked by thumbprint. Only keys that a verified token names come in."""

    def __init__(self, algorithms: Collection[str]) -> None:
        self._algorithms = algorithms
        self._ready: dict[tuple[str, str], Verify] = {}

    def verifier(self, jwk: Any, algorithm: str, thumbprint: str) -> "Verify":
        """Return how the key of a proof verifies. Raises `ValueError`, in words fit for the proof's sender."""
        from ztag_extauthz.authentication.jose.algorithms import prepare  # noqa: PLC0415 - loads OpenSSL
        from ztag_extauthz.authentication.jose.key_set import SECRET_PARTS  # noqa: PLC0415
        from ztag_extauthz.authentication.jose.thumbprint import thumbprint as thumbprint_of  # noqa: PLC0415

        if algorithm not in self._algorithms:
            raise ValueError("the proof is signed with an algorithm that is not accepted here")
        if type(jwk) is not dict or any(part in jwk for part in SECRET_PARTS):
            raise ValueError("the proof has no public key, or a private one")
        if thumbprint_of(jwk) != thumbprint:
            raise ValueError("the proof is made with another key than the token is bound to")
        known = self._ready.get((thumbprint, algorithm))
        if known is not None:
            return known
        try:
            verify = prepare(jwk).get(algorithm)
        except ValueError as error:
            raise ValueError("the key of the proof cannot be used") from error
        if verify is None:
            raise ValueError("the key of the proof does not fit its algorithm")
        if len(self._ready) >= MAX_KEYS:
            self._ready.clear()
        self._ready[thumbprint, algorithm] = verify
        return verify
