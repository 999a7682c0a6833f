"""Envoy, ztag, the upstream and the issuer, wired to each other on free loopback ports."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from ztag_extauthz.demo import assertions
from ztag_extauthz.demo.issuer import AUDIENCE, Issuer
from ztag_extauthz.demo.processes import START_SECONDS, Envoy, Ztag, folder_for, free_ports
from ztag_extauthz.demo.upstream import LocalServer
from ztag_extauthz.settings import load
from ztag_extauthz.wire.bootstrap import Surroundings, envoy_bootstrap
from ztag_extauthz.wire.envoy import Wishes
from ztag_extauthz.wire.text import to_plain

BODY_BYTES = 8192
LOOPBACK = "127.0.0.1"
HEALTHY = "cluster.ztag.membership_healthy"


class Stack(Struct):
    """The running parts."""

    folder: Path
    issuer: Issuer
    upstream: LocalServer
    ztag: Ztag
    envoy: Envoy
    edge: tuple[str, int]
    """Where Envoy takes requests."""
    config: Path
    """ztag's configuration file."""


class Plan(Struct, frozen=True, kw_only=True):
    """What a stack is made of, where it differs from the demo's."""

    settings: Mapping[str, Any] = {}
    """Sections that replace those of `demo_settings`."""
    wishes: Wishes = Wishes(body_bytes=BODY_BYTES, timeout=1.0)
    concurrency: int = 1
    change_envoy: Callable[[dict[str, Any]], None] = lambda _: None
    """Changes Envoy's configuration before it starts."""
    environment: Mapping[str, str] = {}


def demo_settings(issuer_url: str) -> dict[str, Any]:
    """Return the demo's configuration."""
    return {
        "authentication": [
            {
                "kind": "jwt",
                "issuer": issuer_url,
                "audiences": [AUDIENCE],
                "algorithms": ["RS256", "ES256"],
                "jwks": {"insecure_http_keys": True},
                "realm": "shop",
            },
            {"kind": "anonymous"},
        ],
        "authorization": [
            {"kind": "step_up", "rules": [{"paths": ["/orders/refunds"], "acr_values": ["mfa"], "max_age": 300}]},
            {"kind": "rego", "policies": [str(policy_folder())], "decision": "envoy/authz/result"},
        ],
        "protected_resources": [{"resource": "https://shop.example", "name": "Shop"}],
        "response": {"owned_headers": ["x-user"], "assertion": assertions.settings()},
        "reporting": [{"kind": "audit"}],
    }


def policy_folder() -> Path:
    """Return the example policy: beside this file in an installed package, in `policy/` of a checkout."""
    installed = Path(__file__).parent / "policy"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "policy" / "envoy"


@contextmanager
def running(
    plan: Plan, tell: Callable[[str], None] = lambda _: None, healthy_seconds: float = START_SECONDS
) -> Iterator[Stack]:
    """Yield a stack that answers; `tell` hears what is being started. Raises `ProcessError`."""
    with ExitStack() as parts:
        folder = parts.enter_context(folder_for("demo"))
        tell("issuer and upstream")
        config = folder / "ztag.yaml"
        issuer, upstream = Issuer(), LocalServer(assertions.believing(lambda: admin_of(config)))
        parts.callback(issuer.stop)
        parts.callback(upstream.stop)
        tell("ztag")
        write_settings(config, plan, issuer)
        ztag = Ztag(config, folder, environment=plan.environment)
        parts.callback(ztag.stop)
        tell("Envoy")
        edge, admin = ((LOOPBACK, port) for port in free_ports(2))
        document = envoy_document(plan, config, Surroundings(listen=edge, admin=admin, upstream=upstream.address))
        envoy = Envoy(document, admin, folder, concurrency=plan.concurrency)
        parts.callback(envoy.stop)
        workers = load(config, {}).server.workers
        envoy.wait_until(lambda: envoy.stats(HEALTHY).get(HEALTHY) == workers, "finding ztag healthy", healthy_seconds)
        yield Stack(folder, issuer, upstream, ztag, envoy, edge, config)


def admin_of(config: Path) -> tuple[str, int]:
    """Return where ztag's admin listener is."""
    host, _, port = load(config, {}).listen.admin.rpartition(":")
    return host, int(port)


def write_settings(config: Path, plan: Plan, issuer: Issuer) -> None:
    """Write ztag's configuration and its key, with ports of its own where the plan names none."""
    assertions.write_key(config.parent)
    settings = {**demo_settings(issuer.url), **plan.settings}
    workers = settings.get("server", {}).get("workers", 1)
    *grpc, admin = free_ports(workers + 1)
    listen = {"grpc": f"{LOOPBACK}:{grpc[0]}", "admin": f"{LOOPBACK}:{admin}", **settings.get("listen", {})}
    config.write_text(yaml.safe_dump({**settings, "listen": listen}, sort_keys=False))


def envoy_document(plan: Plan, config: Path, around: Surroundings) -> dict[str, Any]:
    """Return Envoy's configuration for a configuration of ztag."""
    document = to_plain(envoy_bootstrap(load(config, {}), plan.wishes, around))
    plan.change_envoy(document)
    return document
