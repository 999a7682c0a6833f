"""Tokens that have been verified, so that each is paid for once."""

from hashlib import blake2b
from secrets import token_bytes
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from ztag_extauthz.authentication.key_source import KeySource
from ztag_extauthz.authentication.possession import Binding
from ztag_extauthz.model import Identity

if TYPE_CHECKING:
    from ztag_extauthz.authentication.jose.key_set import KeySet


class NoKeys:
    """The source of an issuer that is asked about its tokens, and so needs no keys."""

    keys: Final = None


class Remembered(Struct, frozen=True):
    """Who showed a token, and what has to be as it was for that to count."""

    identity: Identity
    expires_at: float
    """Unix seconds."""
    keys: "KeySet | None"
    """What verified it; None where the issuer itself was asked."""
    source: KeySource | NoKeys
    """Whose keys they were: it counts only as long as they still are."""
    binding: Binding | None = None
    """What whoever shows the token has to prove, each time."""


class TokenMemory:
    """A bounded memory, asked by token. A restart or a reload begins with an empty one.

    The token itself is not kept, only its digest under a key that nobody knows: who reads the memory learns no token,
    and who writes tokens cannot make two of them meet. The less recently used half is dropped when it is full.
    """

    def __init__(self, max_entries: int) -> None:
        self.max_entries = max_entries
        self._begun = blake2b(digest_size=32, key=token_bytes(32))
        self._young: dict[bytes, Remembered] = {}
        self._old: dict[bytes, Remembered] = {}

    def digest(self, token: str) -> bytes:
        one = self._begun.copy()  # the key is hashed in already
        one.update(token.encode())
        return one.digest()

    def get(self, digest: bytes) -> Remembered | None:
        """Return what was remembered; whether it still holds is for the caller to check."""
        found = self._young.get(digest)
        if found is None:
            found = self._old.pop(digest, None)
            if found is not None:
                self.put(digest, found)
        return found

    def put(self, digest: bytes, entry: Remembered) -> None:
        if len(self._young) >= self.max_entries // 2:
            self._old = self._young
            self._young = {}
        self._young[digest] = entry

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
