"""What security events mean here: which credentials are not worth anything any more (CAEP 1.0, RISC 1.0, RFC 9493).

Rule: an event that is understood but names nobody who could be found among credentials is refused, not acknowledged:
its sender has to learn that nothing came of it. What only tells (a session began, a stream is verified) means nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from ztag_extauthz.authentication.spiffe import SCHEME, SpiffeIdError, trust_domain
from ztag_extauthz.revocation.entries import Kind

CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"

EventName = Literal[
    "session-revoked",
    "credential-change",
    "token-claims-change",
    "assurance-level-change",
    "risk-level-change",
    "device-compliance-change",
    "account-disabled",
    "account-purged",
    "account-credential-change-required",
    "credential-compromise",
    "sessions-revoked",
]
"""Events that can revoke; the last five are of RISC."""
Named: TypeAlias = tuple[Kind, str, str]
"""Kind, issuer and value of what is revoked."""

_Event: TypeAlias = Mapping[str, Any]
_ALWAYS: Callable[[_Event], bool] = lambda _: True  # noqa: E731 - an entry of the table
_REVOKES: Mapping[str, tuple[EventName, Callable[[_Event], bool]]] = MappingProxyType(
    {
        f"{CAEP}session-revoked": ("session-revoked", _ALWAYS),
        # A credential that was added takes nothing away from those who have another.
        f"{CAEP}credential-change": ("credential-change", lambda event: event.get("change_type") != "create"),
        # Tokens that were issued before state claims that do not hold any more.
        f"{CAEP}token-claims-change": ("token-claims-change", _ALWAYS),
        f"{CAEP}assurance-level-change": (
            "assurance-level-change",
            lambda event: event.get("change_direction") != "increase",
        ),
        f"{CAEP}risk-level-change": ("risk-level-change", lambda event: event.get("current_level") == "HIGH"),
        f"{CAEP}device-compliance-change": (
            "device-compliance-change",
            lambda event: event.get("current_status") != "compliant",
        ),
        f"{RISC}account-disabled": ("account-disabled", _ALWAYS),
        f"{RISC}account-purged": ("account-purged", _ALWAYS),
        f"{RISC}account-credential-change-required": ("account-credential-change-required", _ALWAYS),
        f"{RISC}credential-compromise": ("credential-compromise", _ALWAYS),
        f"{RISC}sessions-revoked": ("sessions-revoked", _ALWAYS),
    }
)


class Sender(Struct, frozen=True):
    """What a transmitter's subjects mean."""

    issuer: str
    """Whose the subjects are that do not say themselves."""
    emails: bool
    """Whether credentials have e-mail addresses for subjects."""
    events: frozenset[EventName]
    """Events of its that count."""


class SubjectError(ValueError):
    """An event revokes, but does not say in a way that is understood, whose credentials."""


def revoked_by(claims: Mapping[str, Any], sender: Sender) -> list[tuple[Named, _Event]]:
    """Return what the events of a token revoke, each with its event. Raises `SubjectError`."""
    found: list[tuple[Named, _Event]] = []
    for address, event in claims["events"].items():
        name, revokes = _REVOKES.get(address, (None, _ALWAYS))
        if name not in sender.events:
            continue
        if type(event) is not dict:
            raise SubjectError("an event is no object")
        if not revokes(event):
            continue
        # Drafts, which transmitters still speak, have the subject within the event.
        subject = claims.get("sub_id", event.get("sub_id", event.get("subject")))
        named = list(_named(subject, sender, of_session=name == "session-revoked"))
        if not named:
            raise SubjectError("the subject is in a form that names nobody here")
        found += [(one, event) for one in named]
    return found


def _named(subject: Any, sender: Sender, *, of_session: bool) -> Iterator[Named]:
    """Yield what a subject identifier (RFC 9493) names; nothing where that is not understood."""
    if type(subject) is not dict:
        return
    form = str(subject.get("format", subject.get("subject_type"))).replace("-", "_")
    if form in {"complex", "aliases"}:
        yield from _within(subject, form, sender, of_session=of_session)
        return
    values = {name: value for name, value in subject.items() if type(value) is str and value}
    match form, values:
        case "iss_sub", {"iss": issuer, "sub": value}:
            yield "subject", issuer, value
        case "jwt_id", {"iss": issuer, "jti": value}:
            yield "token", issuer, value
        case "opaque", {"id": value}:
            yield "subject", sender.issuer, value
            if of_session:  # it may be either, and the event does not say
                yield "session", sender.issuer, value
        case "email", {"email": value} if sender.emails:
            yield "subject", sender.issuer, value
        case "uri", {"uri": value} if value.startswith(SCHEME):
            yield "subject", _trust_domain(value), value


def _within(subject: Mapping[str, Any], form: str, sender: Sender, *, of_session: bool) -> Iterator[Named]:
    if form == "aliases":
        identifiers = subject.get("identifiers")
        for one in identifiers if type(identifiers) is list else ():
            if type(one) is dict and one.get("format") not in {"aliases", "complex"}:
                yield from _named(one, sender, of_session=of_session)
        return
    user, session = subject.get("user"), subject.get("session")
    if session is not None and (of_session or user is None):
        yield from (("session", issuer, value) for _, issuer, value in _named(session, sender, of_session=False))
        return
    yield from _named(user, sender, of_session=False)


def _trust_domain(text: str) -> str:
    try:
        return f"{SCHEME}{trust_domain(text)}"
    except SpiffeIdError as error:
        raise SubjectError(str(error)) from error
