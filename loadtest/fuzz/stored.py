"""What lies in Redis, where others may write: nothing counts that was not written with the secret."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from loadtest.fuzz.target import Target, forbid
from ztag_extauthz.authorization.cache.encoding import Answer, decode, encode
from ztag_extauthz.authorization.cache.records import Damage, Records
from ztag_extauthz.model import Allow, Deny, Reason
from ztag_extauthz.revocation.entries import Revocation
from ztag_extauthz.stores.seal import Seal, SealError

_ANSWERS: Final = (
    Answer(Allow(request_headers=(("x-user", "ann"),), metadata={"a": [1, None]}), 1.0, 2e9),
    Answer(Deny(Reason.POLICY, "no", status=403, headers=(("a", "b"),)), 1.0, 2e9),
)


def records(_: Path) -> Target:
    """Records of remembered answers."""
    kept, digest, now = Records(b"s" * 32), b"q" * 32, 1e9
    values = [encoded for encoded in map(encode, _ANSWERS) if encoded is not None]
    written = {kept.write(digest, value, 4e9): value for value in values}

    def take(given: bytes) -> None:
        found = kept.read(digest, given, now)
        forbid(not isinstance(found, Damage) and written.get(given) != found, "an answer that nobody wrote")

    return Target(take, [*written, kept.write(b"other", values[0], 4e9), kept.write(digest, values[0], 0.0)])


def remembered(_: Path) -> Target:
    """The answers themselves, as a worker of another version might have written them."""

    def take(given: bytes) -> None:
        found = decode(given)
        forbid(
            found is not None and given[:1] == b"D" and isinstance(found.verdict, Allow), "a denial read as an allow"
        )
        forbid(found is not None and encode(found) is None, "an answer that cannot be written again")

    return Target(take, [encoded for encoded in map(encode, _ANSWERS) if encoded is not None])


def seals(_: Path) -> Target:
    """Entries of journals: revocations, what is forgotten."""
    seal = Seal(b"s" * 32, b"fuzz", Revocation)
    good = seal.write(Revocation("subject", "https://issuer.example", "ann", 1.0, 2e9))

    def take(given: bytes) -> None:
        with suppress(SealError):
            seal.read(seal._tag(given[32:]) + given[32:])  # somebody has the secret, and another version
        seal.read(given)
        forbid(given != good, "an entry that nobody wrote")

    return Target(take, [good, Seal(b"o" * 32, b"fuzz", Revocation).write(seal.read(good))], (SealError,))


TARGETS: Final[Sequence[Any]] = (records, remembered, seals)
