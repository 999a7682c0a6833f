"""Where the keys of an issuer come from, and when they are fetched again.

file        read once, at load; a reload of the settings reads it again
url         fetched in the background, and once more when a token names a key that is not known
discovery   the url stands in the issuer's own metadata (OpenID Connect Discovery 4, RFC 8414 3)
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, model_validator

from ztag_extauthz.authentication.key_source import FileKeys, KeySource, RemoteKeys, Schedule
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import Mistake, SettingsError
from ztag_extauthz.fetch import Fetched, FetchError, fetch, tls_context, why_not_url
from ztag_extauthz.section import Seconds, Section

if TYPE_CHECKING:
    import ssl

    from ztag_extauthz.authentication.jose.key_set import KeySet

WELL_KNOWN = "/.well-known/openid-configuration"
INSERTED = {"oauth": "/.well-known/oauth-authorization-server", "ssf": "/.well-known/ssf-configuration"}
"""These stand between host and path (RFC 8414 3, Shared Signals Framework 1.0, 7.2)."""


class JwksSettings(Section):
    """Where the issuer's keys come from. With neither `file` nor `url`: discovery from the issuer."""

    file_fields: ClassVar[tuple[str, ...]] = ("file", "ca")

    file: str | None = None
    """A JSON Web Key Set."""
    url: str | None = None
    """https address of the key set. Redirects are not followed."""
    discovery: Literal["openid", "oauth", "ssf"] = "openid"
    """Whose metadata names the key set: `/.well-known/openid-configuration` behind the issuer,
    `/.well-known/oauth-authorization-server` (RFC 8414) or, for a transmitter of events,
    `/.well-known/ssf-configuration` between its host and its path."""
    ca: str | None = None
    """PEM file with the authorities that the key server's certificate is verified against; left out: the system's."""
    timeout: Seconds = Field(default=5.0, le=60)
    """Seconds that one fetch may take in all."""
    refresh: Seconds = 600.0
    """Seconds between two fetches at most; the server's `cache-control` may ask for less."""
    cool_down: Seconds = 30.0
    """Seconds between two fetches at least, whatever tokens or `cache-control` ask for."""
    max_stale: Seconds = 86400.0
    """Seconds that the last keys serve while no new ones can be fetched."""
    insecure_http_keys: bool = False
    """Fetch keys over plain http. Without it only from loopback."""

    @model_validator(mode="after")
    def _one_place(self) -> "JwksSettings":
        if self.file is not None and self.url is not None:
            raise ValueError("has a file and a url\nkeep one of the two; with neither, keys are discovered")
        if self.cool_down > self.refresh:
            raise ValueError("cool_down is longer than refresh\nlower cool_down or raise refresh")
        why = "" if self.url is None else why_not_url(self.url, insecure_http=self.insecure_http_keys)
        if why:
            raise ValueError(f"url {why}\nwrite an https address, or set insecure_http_keys: true")
        return self

    def check_discovery(self, issuer: str) -> None:
        """Raise `ValueError` where keys have to be discovered and the issuer cannot be asked for them."""
        if self.file is None and self.url is None:
            why = why_not_url(issuer, insecure_http=self.insecure_http_keys)
            if why:
                raise ValueError(
                    f"no keys can be discovered: issuer {why}\nadd jwks: {{file: …}} or {{url: https://…}}"
                )


def key_source(
    settings: JwksSettings, issuer: str, algorithms: Sequence[str], resources: Resources, use: str | None = None
) -> KeySource:
    """Return the source that the settings ask for; `use` as in `KeySet`. Raises `SettingsError`."""
    from ztag_extauthz.authentication.jose.key_set import KeySet  # noqa: PLC0415 - loads OpenSSL

    def read(document: bytes) -> KeySet:
        return KeySet(document, algorithms, use)

    if settings.file is not None:
        return FileKeys(f"key file of {issuer}", _from_file(resources.folder / settings.file, read), resources.clock())
    schedule = Schedule(settings.refresh, settings.cool_down, settings.max_stale)
    return RemoteKeys(f"keys of {issuer}", _getter(settings, issuer, resources.folder), read, schedule, resources)


def _from_file(path: Path, read: "Callable[[bytes], KeySet]") -> "KeySet":
    from ztag_extauthz.authentication.jose.key_set import KeySetError  # noqa: PLC0415

    try:
        return read(path.read_bytes())
    except OSError as error:
        mistake = Mistake(str(path), f"cannot be read: {error.strerror}", "name a JSON Web Key Set", "jwks.file")
    except KeySetError as error:
        remedy = "write the issuer's public keys there, {keys: [...]}, each with a kid"
        mistake = Mistake(str(path), str(error), remedy, "jwks.file")
    raise SettingsError((mistake,))


def _getter(settings: JwksSettings, issuer: str, folder: Path) -> Callable[[], Fetched]:
    context = tls_context(folder / settings.ca if settings.ca else None, "jwks.ca")
    url = settings.url

    def get() -> Fetched:
        deadline = monotonic() + settings.timeout
        address = url or _discover(settings, issuer, deadline, context)
        return fetch(address, deadline, context)

    return get


def _metadata_address(settings: JwksSettings, issuer: str) -> str:
    if settings.discovery == "openid":
        return issuer.rstrip("/") + WELL_KNOWN
    parts = urlsplit(issuer)
    return urlunsplit(parts._replace(path=INSERTED[settings.discovery] + parts.path.rstrip("/")))


def _discover(settings: JwksSettings, issuer: str, deadline: float, context: "ssl.SSLContext") -> str:
    """Return the `jwks_uri` of an issuer. Raises `FetchError`."""
    from ztag_extauthz.authentication.jose.text import decode_object  # noqa: PLC0415

    address = _metadata_address(settings, issuer)
    try:
        document = decode_object(fetch(address, deadline, context).document)
    except ValueError as error:
        raise FetchError(f"{address}: {error}") from error
    if document.get("issuer") != issuer:
        # Otherwise one issuer's host could speak for another (OpenID Connect Discovery 4.3, RFC 8414 3.3).
        raise FetchError(f"{address}: its issuer is not the one in the settings, byte for byte")
    url = document.get("jwks_uri")
    why = why_not_url(url, insecure_http=settings.insecure_http_keys) if isinstance(url, str) else "is missing"
    if why or not isinstance(url, str):
        raise FetchError(f"{address}: its jwks_uri {why}")
    return url
