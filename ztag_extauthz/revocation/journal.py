"""Where revocations are kept: in Redis, for all replicas."""

from pathlib import Path
from typing import TypeAlias

from ztag_extauthz.revocation.entries import Revocation
from ztag_extauthz.revocation.settings import RevocationSettings
from ztag_extauthz.stores.journal import RedisJournal
from ztag_extauthz.stores.seal import Seal

Revocations: TypeAlias = RedisJournal[Revocation]


def journal(settings: RevocationSettings, folder: Path) -> Revocations:
    """Return what replicas with the same settings share; nothing is connected yet. Raises `SettingsError`."""
    seal = Seal(settings.key(folder), b"ztag revocation", Revocation)
    return RedisJournal("revocations", settings.redis, seal)
