"""The settings of revocations."""

from typing import TYPE_CHECKING

from pydantic import Field

from ztag_extauthz.component import Resources
from ztag_extauthz.section import Seconds, Section
from ztag_extauthz.stores.redis import RedisSettings
from ztag_extauthz.stores.seal import Secret

if TYPE_CHECKING:
    from ztag_extauthz.revocation.register import Register


class RevocationSettings(Section):
    """Refuse what `ztag revoke` names, in all workers of all replicas within a second."""

    redis: RedisSettings
    """Where revocations are kept. A Redis that comes back without them gets them again from every worker."""
    secret: Secret
    """At least 32 characters, the same on all replicas: what was not written with it does not count."""
    interval: Seconds = Field(default=0.2, le=1)
    """Seconds between two looks at what is new."""
    max_stale: Seconds | None = None
    """Seconds without an answer of Redis after which requests are errors; left out: what is known goes on to be
    refused, and nothing new is learnt."""
    remember: Seconds = 86400.0
    """Seconds that a revocation is kept: as long as the longest credential is valid."""

    def build(self, resources: Resources) -> "Register":
        """Build what a worker knows of revocations."""
        from ztag_extauthz.revocation.journal import journal  # noqa: PLC0415
        from ztag_extauthz.revocation.register import Register  # noqa: PLC0415

        return Register(self, journal(self), resources.clock)
