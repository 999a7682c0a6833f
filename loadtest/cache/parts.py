"""A policy with its cache in this process, and the requests that it is asked about."""

import time
from pathlib import Path

from loadtest.corpus import check_request
from ztag_extauthz.authorization.cache.settings import CacheSettings
from ztag_extauthz.authorization.rego import Rego, RegoSettings
from ztag_extauthz.component import Memory, Resources
from ztag_extauthz.envoy import decode
from ztag_extauthz.meter import CELLS, METRICS, SERIES, Meter, Name
from ztag_extauthz.model import Identity, Request

FOREVER = time.monotonic() + 1e6

BY_USER = """package load
default result := {"allowed": false}
result := {
	"allowed": true,
	"headers": {"x-user": input.identity.subject, "x-path": input.attributes.request.http.path},
} if {
	input.identity.claims.roles[_] == "reader"
}
"""
BY_ROLE = """package load
default result := false
result if {
	input.attributes.request.http.method == "GET"
	"reader" in input.identity.claims.roles
}
"""


class Policy:
    """One worker's policy."""

    def __init__(self, folder: Path, memory: Memory, cache: CacheSettings | None) -> None:
        self.cells = [0.0] * CELLS
        settings = RegoSettings(kind="rego", policies=("policy.rego",), decision="load/result", cache=cache)
        self.rego: Rego = settings.build(Resources(folder, time.time, Meter(self.cells), memory))

    def count(self, name: Name, *labels: str) -> int:
        return int(self.cells[SERIES[name, labels]])

    def lookups(self) -> dict[str, int]:
        return {name: self.count("ztag_cache_lookups", name) for name in METRICS["ztag_cache_lookups"].labels["result"]}


def users(number: int) -> list[Identity]:
    return [
        Identity(f"user-{user}", "https://issuer.example", "jwt", {"roles": ["reader"]}, expires_at=time.time() + 3600)
        for user in range(number)
    ]


def requests(number: int) -> list[Request]:
    return [decode(check_request("token", f"/documents/{path}")) for path in range(number)]
