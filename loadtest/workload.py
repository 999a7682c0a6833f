"""Settings and the requests that they are asked about: the same tokens again and again."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from loadtest.corpus import AUDIENCE, ISSUER, Issuer, check_request
from ztag_extauthz.settings import Settings, load

ROOT: Final = Path(__file__).parent.parent
USERS, PATHS = 100, 10

_SETTINGS = """
authentication:
  - {{kind: jwt, issuer: {issuer}, audiences: [{audience}], algorithms: [RS256], jwks: {{file: jwks.json}}}}
authorization:
  - {{kind: rego, policies: [{policies}]}}
reporting:
  - {{kind: audit, to: audit.log}}
response:
  owned_headers: [x-user]
"""
_LIMITS = """
admission:
  rate_limit: {limits: [{name: address, limit: 1000000/s, by: [address]}]}
"""
_AUTHORIZERS = """
  - {kind: quota, limits: [{name: subject, limit: 1000000/s, by: [subject]}]}
  - {kind: risk}
"""


class Workload(Struct, frozen=True):
    """What a server is given, and asked."""

    settings: Settings
    folder: Path
    issuer: Issuer
    messages: tuple[bytes, ...]
    guarded: Settings
    """The same with limits before and after authentication, and with the risk scorer."""

    @property
    def read(self) -> Settings:
        """The settings without the memory of whole requests: each takes its whole way."""
        return self.settings.model_copy(update={"server": self.settings.server.model_copy(update={"max_recurring": 0})})

    @property
    def uncached(self) -> Settings:
        """The settings without the memory of the policy's answers, either."""
        kinds = tuple(kind.model_copy(update={"cache": None}) for kind in self.settings.authorization)
        return self.read.model_copy(update={"authorization": kinds})


@contextmanager
def workload() -> Iterator[Workload]:
    """Write keys and settings into a folder that goes away afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder, issuer = Path(name), Issuer()
        issuer.write_keys(folder / "jwks.json")
        plain = _SETTINGS.format(issuer=ISSUER, audience=AUDIENCE, policies=ROOT / "policy/envoy")
        (folder / "ztag.yaml").write_text(plain)
        before, after = plain.split("authorization:\n", 1)
        (folder / "guarded.yaml").write_text(f"{before}authorization:{_AUTHORIZERS}{after}{_LIMITS}")
        tokens = [issuer.token(f"user-{number}", ("editor",)) for number in range(USERS)]
        messages = tuple(check_request(token, f"/orders/{path}") for token in tokens for path in range(PATHS))
        yield Workload(load(folder / "ztag.yaml", {}), folder, issuer, messages, load(folder / "guarded.yaml", {}))
