"""Stacks that the tests start: each engine over each transport, and Envoys that are set up in a particular way."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography import x509

from tests.e2e.certificates import Authority, Certificate
from ztag_extauthz.demo.processes import folder_for
from ztag_extauthz.demo.stack import BODY_BYTES, Plan, Stack, running
from ztag_extauthz.wire.envoy import ClientTls, Wishes

ENVOY_ID = "spiffe://mesh.example/ns/edge/sa/envoy"
ENGINES = ("h2corn", "grpcio")
TRANSPORTS = ("tcp", "unix", "mtls")
TIMEOUT = 5.0
"""Seconds for a check: the machine that runs the tests may be busy."""


def connection_manager(document: dict[str, Any]) -> dict[str, Any]:
    """Return the HTTP connection manager of an Envoy configuration."""
    chain = document["static_resources"]["listeners"][0]["filter_chains"][0]
    manager: dict[str, Any] = chain["filters"][0]["typed_config"]
    return manager


def ext_authz(document: dict[str, Any]) -> dict[str, Any]:
    """Return the ext_authz filter of an Envoy configuration."""
    config: dict[str, Any] = connection_manager(document)["http_filters"][0]["typed_config"]
    return config


def without_hygiene(document: dict[str, Any]) -> None:
    """Let everything through that Envoy would refuse or repair, so that ztag has to."""
    manager = connection_manager(document)
    for key in (
        "normalize_path",
        "merge_slashes",
        "path_with_escaped_slashes_action",
        "early_header_mutation_extensions",
    ):
        del manager[key]
    del manager["common_http_protocol_options"]["headers_with_underscores_action"]


@contextmanager
def plan_for(engine: str, transport: str) -> Iterator[Plan]:
    """Yield the plan of one engine over one transport, behind an Envoy without hygiene."""
    with folder_for("e2e") as folder:
        listen, tls = _transport(transport, folder)
        yield Plan(
            settings={"server": {"engine": engine}, "listen": listen},
            wishes=Wishes(body_bytes=BODY_BYTES, timeout=TIMEOUT, tls=tls),
            change_envoy=without_hygiene,
        )


@contextmanager
def stack_for(engine: str, transport: str) -> Iterator[Stack]:
    with plan_for(engine, transport) as plan, running(plan) as stack:
        yield stack


def server_certificate(authority: Authority) -> Certificate:
    """Issue ztag's own certificate, in the place of the one before."""
    return authority.issue("server", [x509.DNSName("ztag.test")])


def mutual_tls(authority: Authority, client: str = ENVOY_ID) -> tuple[dict[str, Any], ClientTls]:
    """Return `listen.tls` that admits `ENVOY_ID`, and what an Envoy needs whose certificate names `client`."""
    server = server_certificate(authority)
    envoy = authority.issue("envoy", [x509.UniformResourceIdentifier(client)])
    tls = {
        "certificate": server.certificate,
        "key": server.key,
        "client_ca": authority.file,
        "allowed_clients": [ENVOY_ID],
    }
    return tls, ClientTls(server_name="ztag.test", ca=authority.file, certificate=envoy.certificate, key=envoy.key)


def _transport(transport: str, folder: Path) -> tuple[dict[str, Any], ClientTls | None]:
    if transport == "unix":
        return {"grpc": f"unix://{folder}/ztag.sock"}, None
    if transport == "mtls":
        tls, client = mutual_tls(Authority(folder))
        return {"tls": tls}, client
    return {}, None
