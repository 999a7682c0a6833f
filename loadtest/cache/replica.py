"""Replicas of ztag with a cache, their settings, and what is asked of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from loadtest.corpus import check_request
from ztag_extauthz.demo.issuer import Issuer
from ztag_extauthz.demo.processes import Ztag, free_ports

SECRET = "loadtest " * 4
PATHS = 50
MAX_STALE = 5.0


def redis_settings(port: int, *, cluster: bool = False) -> dict[str, Any]:
    return {"url": f"redis://127.0.0.1:{port}", "cluster": cluster, "secret": SECRET, "max_stale": MAX_STALE}


def write_settings(
    folder: Path, name: str, issuer: Issuer, policy: dict[str, Any], redis: dict[str, Any] | None
) -> tuple[Path, str]:
    """Return the configuration file of a replica and its address."""
    ports = free_ports(2)
    cache = {"entries": 1 << 16} | ({"redis": redis} if redis else {})
    document = {
        "listen": {"grpc": f"127.0.0.1:{ports[0]}", "admin": f"127.0.0.1:{ports[1]}"},
        "authentication": [{"kind": "jwt", "issuer": issuer.url, "audiences": ["mesh"], "algorithms": ["RS256"]}],
        "authorization": [{"kind": "rego", "cache": cache, **policy}],
    }
    config = folder / f"{name}.yaml"
    config.write_text(yaml.safe_dump(document))
    return config, f"127.0.0.1:{ports[0]}"


@contextmanager
def running(config: Path) -> Iterator[Ztag]:
    ztag = Ztag(config, config.parent, config.stem)
    try:
        yield ztag
    finally:
        ztag.stop()


def messages(issuer: Issuer, users: int) -> list[list[bytes]]:
    """Return for each user a request for each path."""
    made = []
    for user in range(users):
        token = issuer.token(f"user-{user}")
        made.append([check_request(token, f"/orders/{path}") for path in range(PATHS)])
    return made
