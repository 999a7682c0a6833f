"""Bearer tokens in requests, and what to answer about them (RFC 6750)."""

from msgspec import Struct

from ztag_extauthz.model import Deny, Reason, Request


class Bearer(Struct, frozen=True):
    """Where a token stands in a request, and the words that refuse it."""

    header: str
    """In lower case."""
    prefix: str
    """The scheme in lower case with a space behind it, or "" where the bare token is the value."""
    realm: str
    cookie: str = ""
    """A cookie that may hold the token instead; "" for none."""
    parameters: str = ""
    """Further parameters of the challenge, each with ", " before it."""
    scheme: str = "Bearer"
    """Of the challenge."""

    def token_of(self, request: Request) -> str | Deny | None:
        """Return the token, a refusal of a request that cannot be read, or None where there is no token.

        Another scheme in `authorization` is another kind's credential. Any other header is ours alone: whatever stands
        in it is a token.
        """
        value = request.headers.get(self.header)
        if self.cookie and (baked := cookies(request, self.cookie)):
            return self._baked(baked, value)
        if value is None:
            return None
        if self.header in request.repeated:
            return self.unreadable("the credential was sent more than once")
        size = len(self.prefix)
        if value[:size].lower() == self.prefix:
            return self._token(value[size:].strip(" "), request.path)
        if self.header == "authorization" and value.strip().lower() != self.prefix.strip():
            return None
        return self.invalid("the bearer token is missing")

    def places(self, request: Request) -> list[str]:
        """Return where a request shows a credential that is read here: the header's name, the cookie's."""
        value = request.headers.get(self.header)
        in_header = value is not None and (
            self.header != "authorization" or value[: len(self.prefix)].lower() == self.prefix
        )
        return [
            *([self.header] if in_header else []),
            *([f"cookie {self.cookie}"] if self.cookie and cookies(request, self.cookie) else []),
        ]

    def _baked(self, values: list[str], beside: str | None) -> str | Deny:
        if beside is not None or len(values) > 1:
            return self.unreadable("tokens were sent in two places")
        return values[0] or self.invalid("the cookie holds no token")

    def _token(self, token: str, path: str) -> str | Deny:
        if "," in token:
            # Envoy joins repeated fields by a comma, which no token contains (RFC 6750 2.1).
            return self.unreadable("the credential was sent more than once")
        if "access_token=" in path and _in_query(path):
            return self.unreadable("tokens were sent in two places")
        return token or self.invalid("the bearer token is missing")

    def challenge(self) -> str:
        """Return the challenge for a request without credentials, which gets no error code (RFC 6750 3.1)."""
        return f'{self.scheme} realm="{self.realm}"{self.parameters}'

    def invalid(self, why: str) -> Deny:
        """Refuse a token (401). `why` is ASCII without quotes and backslashes and repeats nothing of the token."""
        return self.refusal(Reason.INVALID_CREDENTIALS, "invalid_token", why)

    def unreadable(self, why: str) -> Deny:
        """Refuse a request that shows its token in a wrong way (400)."""
        return self.refusal(Reason.MALFORMED_REQUEST, "invalid_request", why)

    def refusal(self, reason: Reason, error: str, why: str, *further: tuple[str, str]) -> Deny:
        """Refuse with an error code of the scheme, and with `further` header fields."""
        value = f'{self.scheme} realm="{self.realm}", error="{error}", error_description="{why}"{self.parameters}'
        return Deny(reason, why, headers=(("www-authenticate", value), *further))


def cookies(request: Request, name: str) -> list[str]:
    """Return the values of a cookie. Envoy joins the fields of HTTP/2 by "; " and others by ",", so both part them."""
    joined = request.headers.get("cookie", "")
    pairs = (pair.partition("=") for pair in joined.replace(",", ";").split(";")) if name in joined else ()
    return [value.strip().strip('"') for key, _, value in pairs if key.strip() == name]


def _in_query(path: str) -> bool:
    query = path.partition("?")[2].partition("#")[0]
    return any(parameter.startswith("access_token=") for parameter in query.split("&"))
