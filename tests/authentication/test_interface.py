from ztag_extauthz.authentication.interface import Authenticator, join
from ztag_extauthz.model import Deny, Identity, Request


class Reader(Authenticator):
    kind = "reader"

    def __init__(self, header: str, names: str) -> None:
        self.header = header
        self.names = names

    async def authenticate(self, request: Request, deadline: float) -> Identity | Deny | None:
        raise NotImplementedError

    def joined(self, other: Authenticator) -> Authenticator | None:
        if isinstance(other, Reader) and other.header == self.header:
            return Reader(self.header, self.names + other.names)
        return None


class Lonely(Authenticator):
    kind = "lonely"

    async def authenticate(self, request: Request, deadline: float) -> Identity | Deny | None:
        raise NotImplementedError


def test_readers_of_one_credential_become_one_at_the_place_of_the_first() -> None:
    lonely = Lonely()
    joined = join([Reader("x", "a"), lonely, Reader("y", "b"), Reader("x", "c"), Reader("x", "d")])
    assert [getattr(entry, "names", entry) for entry in joined] == ["acd", lonely, "b"]
