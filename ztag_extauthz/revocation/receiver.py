"""Receives security event tokens (RFC 8417) that a transmitter pushes (RFC 8935, Shared Signals).

1. who sends    `iss` chooses the transmitter in the settings; where it was given a secret, it has to show it
2. what it is   `secevent+jwt` and nothing else, for us, made before now; without what would make it an access token
3. signature    by the transmitter's own keys
4. what it says by whom: a transmitter speaks for the issuers in the settings

A token that is shown twice revokes what it revoked before: the entries are made of what it says alone, so nothing has
to be remembered of it.
"""

from collections.abc import Callable, Mapping, Sequence
from hmac import compare_digest
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from ztag_extauthz.authentication.jose.claims import is_date
from ztag_extauthz.authentication.jose.compact import Token, TokenError, parse
from ztag_extauthz.authentication.key_source import KeySource
from ztag_extauthz.authentication.token_reader import keys_for, why_not_signed
from ztag_extauthz.revocation.entries import Revocation
from ztag_extauthz.revocation.events import Sender, SubjectError, revoked_by

if TYPE_CHECKING:
    from ztag_extauthz.revocation.settings import TransmitterSettings

TYPE = "secevent+jwt"
PATIENCE = 5.0
"""Seconds that a transmitter waits for its own keys to be fetched."""
SKEW = 60.0
"""Seconds by which a transmitter's clock may be ahead."""
Code = Literal[
    "invalid_request", "invalid_key", "invalid_issuer", "invalid_audience", "authentication_failed", "access_denied"
]
"""RFC 8935 2.4."""


class Refusal(Struct, frozen=True):
    """Why a token is not taken."""

    code: Code
    why: str
    """Fit for the transmitter's log; repeats nothing of the token."""


class Transmitter(Struct, frozen=True):
    """Somebody who may send events."""

    settings: "TransmitterSettings"
    keys: KeySource
    sender: Sender
    issuers: frozenset[str]
    """Whose credentials it may revoke."""
    authorization: bytes | None
    """The header that it has to show; None for none."""


class Receiver:
    """Knows every transmitter."""

    def __init__(self, transmitters: Sequence[Transmitter], remember: float, clock: Callable[[], float]) -> None:
        """`remember` in seconds, `clock` in Unix seconds."""
        self._transmitters = {one.settings.issuer: one for one in transmitters}
        self._remember = remember
        self._clock = clock

    async def start(self) -> None:
        """Begin to keep the transmitters' keys fresh."""
        for one in self._transmitters.values():
            await one.keys.start()

    async def close(self) -> None:
        """End what `start` began."""
        for one in self._transmitters.values():
            await one.keys.close()

    async def receive(self, text: str, authorization: str) -> tuple[Revocation, ...] | Refusal:
        """Return what a token revokes, () for nothing, or why it is not taken.

        `authorization` is the header of the request that brought it. Raises `UnavailableError` or `DeadlineError` where
        the transmitter's keys cannot be had.
        """
        try:
            token = parse(text.strip()) if text.isascii() else None
        except TokenError as error:
            return Refusal("invalid_request", str(error))
        if token is None:
            return Refusal("invalid_request", "the token is not ASCII")
        issuer = token.claims.get("iss")
        transmitter = self._transmitters.get(issuer) if type(issuer) is str else None
        if transmitter is None:
            return Refusal("invalid_issuer", "the issuer is no transmitter in the settings")
        refusal = self._why_not(token, transmitter, authorization)
        if refusal is not None:
            return refusal
        why = why_not_signed(token, await keys_for(token, transmitter.keys, monotonic() + PATIENCE))
        return Refusal("invalid_key", why) if why else self._entries(token.claims, transmitter)

    def _why_not(self, token: Token, transmitter: Transmitter, authorization: str) -> Refusal | None:
        settings, claims = transmitter.settings, token.claims
        shown = transmitter.authorization
        if shown is not None and not compare_digest(shown, authorization.encode()):
            return Refusal("authentication_failed", "the authorization header is not the one in the settings")
        if token.algorithm not in settings.algorithms:
            return Refusal("invalid_key", "the algorithm is not accepted here")
        audience = claims.get("aud")
        audiences = audience if type(audience) is list else [audience]
        if not any(type(one) is str and one in settings.audiences for one in audiences):
            return Refusal("invalid_audience", "the token is for another audience")
        what = self._malformed(token)
        return Refusal("invalid_request", what) if what else None

    def _malformed(self, token: Token) -> str:
        claims = token.claims
        if token.type != TYPE:
            return f"the token is of another type than {TYPE}"
        if "exp" in claims or "sub" in claims:
            # Without them it can be taken for no access token (Shared Signals Framework 1.0, 4.1).
            return "a security event token has neither exp nor sub"
        issued, name, events = claims.get("iat"), claims.get("jti"), claims.get("events")
        if not is_date(issued) or issued > self._clock() + SKEW:
            return "iat is missing, no date or in the future"
        if type(name) is not str or not name:
            return "jti is missing"
        return "" if type(events) is dict and events else "there are no events"

    def _entries(self, claims: Mapping[str, Any], transmitter: Transmitter) -> tuple[Revocation, ...] | Refusal:
        issued = float(claims["iat"])
        until = issued + self._remember
        try:
            revoked = revoked_by(claims, transmitter.sender)
        except SubjectError as error:
            return Refusal("invalid_request", str(error))
        if any(issuer not in transmitter.issuers for (_, issuer, _), _ in revoked):
            return Refusal("access_denied", "the transmitter may not speak for that issuer")
        if until <= self._clock():
            return ()  # all that it could mean has expired
        return tuple(
            Revocation(*named, _moment(event.get("event_timestamp"), issued), until) for named, event in revoked
        )


def _moment(stated: Any, issued: float) -> float:
    """Return when an event happened; never after it was told of, or it would revoke what comes."""
    return min(float(stated), issued) if is_date(stated) else issued
