"""The credential itself, kept from the upstream."""

from msgspec import Struct

from ztag_extauthz.model import Request


class Credentials(Struct, frozen=True):
    """Where credentials stand in requests."""

    headers: frozenset[str] = frozenset()
    """In lower case."""
    cookies: frozenset[str] = frozenset()

    def without(self, request: Request) -> str | None:
        """Return the `cookie` header without credentials ("" if nothing is left), None where it has none.

        Some proxies join several fields by ",", so that parts cookies, too.
        """
        header = request.headers.get("cookie", "")
        if not any(name in header for name in self.cookies):
            return None
        crumbs = [",".join(filter(self._is_none, crumb.split(","))).strip() for crumb in header.split(";")]
        return "; ".join(filter(None, crumbs))

    def _is_none(self, pair: str) -> bool:
        return pair.partition("=")[0].strip() not in self.cookies
