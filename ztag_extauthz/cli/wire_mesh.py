"""`ztag wire istio|gateway|check`: the mesh's objects, printed and checked."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ztag_extauthz.cli.common import DEFAULT_CONFIG, ConfigOption, load_settings, telling_mistakes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ztag_extauthz.settings import Settings

FOUND = 1
"""Exit code of a check that found errors."""
LONGEST = 10.0
"""Seconds for a check that are worth a warning: whoever sent the request has gone by then."""


def istio(
    config: ConfigOption = DEFAULT_CONFIG,
    service: Annotated[str, typer.Option(help="ztag's Service, whole name.")] = "ztag.ztag-system.svc.cluster.local",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Whose workloads are asked about.")] = "default",
    selector: Annotated[str, typer.Option(help="Their labels: key=value,key=value.")] = "ztag.dev/enforced=true",
    ambient: Annotated[bool, typer.Option("--ambient", help="By a waypoint instead of sidecars.")] = False,
    waypoint: Annotated[str, typer.Option(help="The waypoint's Gateway, with --ambient.")] = "waypoint",
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds for a check.")] = 0.5,
    exclude: Annotated[
        list[str] | None, typer.Option(help="A path that is not asked about. If none is named: /healthz.")
    ] = None,
    body_bytes: Annotated[int, typer.Option(min=0, help="Bytes of the body that ztag is sent.")] = 0,
    peer_certificate: Annotated[bool, typer.Option("--peer-certificate", help="Send the caller's.")] = False,
) -> None:
    """Print Istio's objects that make a mesh ask ztag, for the settings in force."""
    with telling_mistakes():
        settings = load_settings(config)
        from ztag_extauthz.wire import istio as wire  # heavy

        wishes = wire.MeshWishes(
            service=service,
            namespace=namespace,
            selector=wire.labels(selector),
            mode="ambient" if ambient else "sidecar",
            waypoint=waypoint,
            timeout=timeout,
            excluded_paths=tuple(["/healthz"] if exclude is None else exclude),
            body_bytes=body_bytes,
            peer_certificate=peer_certificate,
        )
        described = wire.mesh_config(settings, wishes), wire.objects(settings, wishes)
    _warn_of_loopback(settings)
    warn_of_timeout(timeout)
    print("# MeshConfig, not an object of its own: kubectl -n istio-system edit configmap istio")
    print(_comment(_yaml(described[0])))
    print(f"# Open to everybody, as nobody is asked about them: {', '.join(wishes.excluded_paths)} (--exclude)")
    _print(described[1])


def gateway(
    config: ConfigOption = DEFAULT_CONFIG,
    target: Annotated[str, typer.Option(help="KIND/NAME that asks.")] = "Gateway/edge",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Its namespace.")] = "default",
    service: Annotated[str, typer.Option(help="ztag's Service.")] = "ztag",
    service_namespace: Annotated[str, typer.Option(help="Its namespace.")] = "ztag-system",
    timeout_ms: Annotated[int, typer.Option(min=1, help="Milliseconds for a check.")] = 500,
    body_bytes: Annotated[int, typer.Option(min=0, help="Bytes of the body that ztag is sent.")] = 0,
) -> None:
    """Print Envoy Gateway's objects that make it ask ztag, for the settings in force."""
    with telling_mistakes():
        settings = load_settings(config)
        from ztag_extauthz.wire import gateway as wire  # heavy

        wishes = wire.GatewayWishes(
            target=target,
            namespace=namespace,
            service=service,
            service_namespace=service_namespace,
            timeout_ms=timeout_ms,
            body_bytes=body_bytes,
        )
        described = wire.objects(settings, wishes)
    _warn_of_loopback(settings)
    warn_of_timeout(timeout_ms / 1000)
    _print(described)


def check(
    files: Annotated[list[Path], typer.Argument(help="YAML of Istio, Kubernetes, Envoy Gateway or Envoy.")],
    strict: Annotated[bool, typer.Option("--strict", help="A warning counts as an error.")] = False,
) -> None:
    """Say what in these objects, taken together, does not do what was meant. Exit code 1 if there is an error."""
    with telling_mistakes():
        from ztag_extauthz.wire.check import findings  # brings yaml
        from ztag_extauthz.wire.pitfalls import Level

        found = findings(files)
    for finding in found:
        print(finding)
    if not found:
        print("ok")
    if any(finding.level is Level.ERROR or strict for finding in found):
        raise typer.Exit(FOUND)


def register(app: typer.Typer) -> None:
    """Add the commands to `ztag wire`."""
    app.command()(istio)
    app.command()(gateway)
    app.command()(check)


def warn_of_timeout(seconds: float) -> None:
    """Say on stderr where nobody would wait that long."""
    if seconds > LONGEST:
        print(f"--timeout: while ztag hangs, each request would wait {seconds:g} s (write 0.5)", file=sys.stderr)


def _warn_of_loopback(settings: "Settings") -> None:
    from ztag_extauthz.hosts import is_loopback
    from ztag_extauthz.settings.addresses import split_address

    address = split_address(settings.listen.grpc)
    if address is not None and is_loopback(address[0]):
        what = f"listen.grpc: {settings.listen.grpc} is loopback, which no Service reaches"
        print(f"{what} (listen on 0.0.0.0:{address[1]})", file=sys.stderr)


def _print(objects: "Iterable[Any]") -> None:
    for found in objects:
        print("---")
        print(_yaml(found), end="")


def _yaml(value: Any) -> str:
    from yaml import safe_dump

    return str(safe_dump(value, sort_keys=False, width=120))


def _comment(text: str) -> str:
    return "\n".join(f"#   {line}" for line in text.splitlines())
