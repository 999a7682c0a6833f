"""The settings of bundles: where one is fetched from, and who has to have signed them."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from ztag_extauthz.fetch import Fetched, Terms, bearer, fetch, tls_context, why_not_url
from ztag_extauthz.section import Seconds, Section

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class BundleSettings(Section):
    """Where policies and data are fetched from, as OPA fetches its bundles."""

    file_fields: ClassVar[tuple[str, ...]] = ("ca", "token_file")

    url: str
    """https address of a `.tar.gz` as `opa build` makes it; http on loopback alone. Redirects are not followed."""
    token_file: str | None = None
    """A file with the bearer token that the server wants; read again for every fetch."""
    ca: str | None = None
    """PEM file with the authorities that the server's certificate is verified against; left out: the system's."""
    min_delay: Seconds = Field(default=60.0, le=86400)
    """Seconds between two looks at least; after a failure less."""
    max_delay: Seconds = Field(default=120.0, le=86400)
    """Seconds between two looks at most; the pause is somewhere between the two."""
    timeout: Seconds = Field(default=30.0, le=600)
    """Seconds that one fetch may take in all."""
    max_bytes: int = Field(default=64 * 1024 * 1024, ge=1024, le=1 << 30)
    """Bytes that a bundle may have as it comes, compressed."""
    persist: str | None = None
    """A folder of ztag's own that keeps the last good bundle, for a start while the server is down. With it the workers
    of a node also follow each other within a second."""

    @model_validator(mode="after")
    def _sensible(self) -> "BundleSettings":
        why = why_not_url(self.url, insecure_http=False)
        if why:
            raise ValueError(f"url {why}\nwrite an https address")
        if self.min_delay > self.max_delay:
            raise ValueError("min_delay is longer than max_delay\nlower min_delay or raise max_delay")
        return self

    def getter(self, folder: Path) -> Callable[[str], Fetched]:
        """Return what fetches the bundle unless it is still the one of an ETag, and blocks. Raises `SettingsError`."""
        context = tls_context(folder / self.ca if self.ca else None, "bundle.ca")
        bearer(self.token_file, folder, "bundle.token_file")

        def get(etag: str) -> Fetched:
            secret = bearer(self.token_file, folder, "bundle.token_file")
            headers = {"accept": "application/gzip, application/octet-stream", "prefer": "modes=snapshot"}
            headers |= {"authorization": f"Bearer {secret}"} if secret else {}
            headers |= {"if-none-match": etag} if etag else {}
            return fetch(self.url, monotonic() + self.timeout, context, Terms(headers, max_bytes=self.max_bytes))

        return get


class SigningKeySettings(Section):
    """A key that bundles are verified with."""

    file_fields: ClassVar[tuple[str, ...]] = ("file",)

    id: str = Field(min_length=1)
    """What the signature calls it (`kid`; `--signing-key-id` of opa)."""
    algorithm: Algorithm = "RS256"
    """The one algorithm that it verifies, whatever the signature says."""
    file: str
    """PEM file with the public key or its certificate."""


class SigningSettings(Section):
    """Who may sign bundles. With it every bundle, fetched or a file, has to be signed."""

    keys: tuple[SigningKeySettings, ...] = Field(min_length=1)
    """The keys; while one replaces another, both."""
    scope: str = ""
    """What the signature has to be for (`scope` in opa's claims file)."""
    max_data_bytes: int = Field(default=16 * 1024 * 1024, ge=1024, le=256 * 1024 * 1024)
    """Bytes that all data files of a bundle may have. They are read before it is known who wrote them, for what is
    signed is their meaning and not their spelling: whoever serves the bundle could keep ztag busy."""
    max_data_values: int = Field(default=250_000, ge=100, le=100_000_000)
    """Values that they may have, by their commas and brackets; of YAML by its dashes, colons and lines, too, and each
    counts as four. 250000 take about a second."""

    @model_validator(mode="after")
    def _own_ids(self) -> "SigningSettings":
        if len({key.id for key in self.keys}) < len(self.keys):
            raise ValueError("two keys have one id\ngive each its own: it is what a signature calls it by")
        return self
