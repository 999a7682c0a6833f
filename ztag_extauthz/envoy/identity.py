"""The headers that say who asks, encoded: `x-ztag-subject`, `x-ztag-issuer`, `x-ztag-kind`."""

from functools import lru_cache

from ztag_extauthz.envoy import encoding
from ztag_extauthz.fields import visible
from ztag_extauthz.model import Identity

SUBJECT, ISSUER, KIND = "x-ztag-subject", "x-ztag-issuer", "x-ztag-kind"

_NO_NAMES: frozenset[str] = frozenset()


def headers_of(identity: Identity | None) -> tuple[bytes, frozenset[str]]:
    """Return fields of an `OkHttpResponse` and the names that they set; what is not known is left out."""
    if identity is None:
        return b"", _NO_NAMES
    of_issuer, names = _of_issuer(identity.issuer, identity.kind)
    if not identity.subject:
        return of_issuer, names
    return _header(SUBJECT, identity.subject) + of_issuer, names | {SUBJECT}


@lru_cache(maxsize=64)
def _of_issuer(issuer: str, kind: str) -> tuple[bytes, frozenset[str]]:
    told = {name: value for name, value in ((ISSUER, issuer), (KIND, kind)) if value}
    return b"".join(_header(name, value) for name, value in told.items()), frozenset(told)


def _header(name: str, value: str) -> bytes:
    return encoding.request_header(name, visible(value))
