"""Request headers that say who asks, by templates of the settings.

    x-user: "{subject}"      x-access: "{kind};roles={roles}"      x-tenant: "{claims.org.tenant}"

Rule 1: a value can neither end its field nor look like what stands around it: all but a few characters of visible ASCII
are percent-encoded in it, so also `,` `;` `=` and `%`.
Rule 2: a header that lacks a value is not sent at all; an empty part could be read as anybody.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote

from ztag_extauthz.fields import is_name
from ztag_extauthz.model import Identity, Pairs

Part: TypeAlias = Callable[[Identity], Any]
"""Takes one part of an identity; None or an empty one where there is none."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_AROUND = re.compile(r"[ -z|~]*")
"""Visible ASCII and spaces, without braces."""
_SAFE = "!#$&'()*+./:<>?@[]^_`|~-"
_PARTS: Mapping[str, Part] = {
    "subject": lambda identity: identity.subject,
    "issuer": lambda identity: identity.issuer,
    "kind": lambda identity: identity.kind,
    "scopes": lambda identity: identity.scopes,
    "roles": lambda identity: identity.roles,
    "groups": lambda identity: identity.groups,
    "expires_at": lambda identity: None if identity.expires_at is None else int(identity.expires_at),
}
CLAIMS = "claims."


def why_not(name: str, template: str) -> str:
    """Return what is wrong with a header of the settings, and a remedy in the next line; "" if nothing is."""
    if not is_name(name) or name.lower() == "host" or name.lower().startswith("x-ztag-"):
        return f"{name!r:.40} is no header that could be set here\nwrite names like x-user"
    around = _PLACEHOLDER.sub("", template)
    if not _AROUND.fullmatch(around) or template != template.strip():
        return "has braces that do not fit, spaces at its ends, or more than visible ASCII\nwrite {subject}"
    names = _PLACEHOLDER.findall(template)
    unknown = [part for part in names if part not in _PARTS and part.removeprefix(CLAIMS) == part]
    if unknown or not names or f"{{{CLAIMS}}}" in template:
        return f"takes nothing of an identity that there is\nwrite one of {', '.join(_PARTS)}, {CLAIMS}NAME in braces"
    return ""


class IdentityHeaders:
    """The templates, read once."""

    def __init__(self, templates: Mapping[str, str]) -> None:
        """Take templates that `why_not` finds nothing wrong with."""
        self._templates = [(name.lower(), list(_pieces(template))) for name, template in templates.items()]
        self.names = frozenset(name for name, _ in self._templates)

    def of(self, identity: Identity | None) -> Pairs:
        """Return the headers for an identity; none where nobody is known."""
        if identity is None or identity.kind == "anonymous":
            return ()
        headers = ((name, _filled(pieces, identity)) for name, pieces in self._templates)
        return tuple((name, value) for name, value in headers if value)


def _pieces(template: str) -> Iterator[str | Part]:
    """Yield the text between the placeholders, and what takes the part that each of them names."""
    for place, piece in enumerate(_PLACEHOLDER.split(template)):
        yield piece if place % 2 == 0 else _PARTS.get(piece) or _claim(piece.removeprefix(CLAIMS))


def _claim(path: str) -> Part:
    def take(identity: Identity) -> Any:
        if path in identity.claims:
            return identity.claims[path]
        value: Any = identity.claims
        for step in path.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        return value

    return take


def _filled(pieces: list[str | Part], identity: Identity) -> str:
    """Return a header's value; "" where a part is missing."""
    texts = []
    for piece in pieces:
        text = piece if isinstance(piece, str) else _text(piece(identity))
        if not text and not isinstance(piece, str):
            return ""
        texts.append(text)
    return "".join(texts)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return quote(value, safe=_SAFE, errors="replace")
    if isinstance(value, list | tuple):
        return ",".join(filter(None, map(_text, value)))
    return quote(json.dumps(value, separators=(",", ":")), safe=_SAFE)
