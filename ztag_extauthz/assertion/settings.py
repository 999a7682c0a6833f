"""The settings of signed assertions."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from ztag_extauthz.section import Seconds, Section

if TYPE_CHECKING:
    from ztag_extauthz.assertion.signer import Signer

AUDIENCE_EXTENSION = "ztag-audience"


class AssertionSettings(Section):
    """Tell the upstream who asks in a form that it can verify: `x-ztag-assertion`, a JWT for this upstream alone."""

    file_fields: ClassVar[tuple[str, ...]] = ("keys",)

    issuer: str = Field(min_length=1)
    """`iss` of the assertions."""
    keys: tuple[str, ...] = Field(min_length=1)
    """PEM files with private keys, P-256 (ES256) or Ed25519 (EdDSA). The first one signs, `/.well-known/jwks.json` of
    `listen.admin` shows the public parts of all. To rotate: add the new one behind, wait until the upstreams have
    fetched it, put it first, and take the old one away when its last assertion has expired."""
    audience: str | None = None
    """`aud` where neither the route names one (`context_extensions: {ztag-audience: orders}`) nor Envoy tells its own
    principal (`destination.principal`, at a sidecar that of the upstream). A request without any gets no assertion."""
    lifetime: Seconds = Field(default=60.0, le=600)
    """Seconds that an assertion is valid; it is used again for three quarters of that."""

    def build(self, folder: Path, clock: Callable[[], float]) -> "Signer":
        """Raise `SettingsError` where a key cannot be used. `clock` in Unix seconds."""
        from ztag_extauthz.assertion.keys import read_keys  # noqa: PLC0415 - loads OpenSSL
        from ztag_extauthz.assertion.signer import Signer  # noqa: PLC0415

        return Signer(self, read_keys(folder, self.keys)[0], clock)
