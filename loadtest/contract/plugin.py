"""A running opa-envoy-plugin."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import grpc
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse

METHOD = "/envoy.service.auth.v3.Authorization/Check"
Ask = Callable[[CheckRequest], CheckResponse]


class Setup(NamedTuple):
    """What may differ from how it comes."""

    dry_run: bool = False
    descriptor: bytes = b""
    opa: Sequence[str] = ()
    """Settings of OPA's own, `name=value`."""
    environment: Mapping[str, str] = {}


class Plugin(NamedTuple):
    """Where it listens, and which process it is."""

    address: str
    pid: int
    channel: grpc.Channel


def built() -> Path:
    """Build the plugin unless it is there already; takes Go and two minutes."""
    script = Path(__file__).with_name("build.sh")
    return Path(subprocess.run(["/bin/sh", str(script)], check=True, stdout=subprocess.PIPE, text=True).stdout.strip())


@contextmanager
def running(
    binary: Path, policy: str, decision: str, *, dry_run: bool = False, descriptor: bytes = b""
) -> Iterator[Ask]:
    """Start the plugin with a policy, and give a function that asks it; ends it afterwards."""
    with started(binary, policy, decision, Setup(dry_run, descriptor)) as plugin:
        yield plugin.channel.unary_unary(
            METHOD,
            request_serializer=CheckRequest.SerializeToString,
            response_deserializer=CheckResponse.FromString,
        )


@contextmanager
def started(binary: Path, policy: str, decision: str, setup: Setup) -> Iterator[Plugin]:
    """Start the plugin with a policy; ends it afterwards."""
    port = _free_port()
    with TemporaryDirectory() as folder:
        path = Path(folder, "policy.rego")
        path.write_text(policy)
        options = {"addr": f"127.0.0.1:{port}", "path": decision, "dry-run": str(setup.dry_run).lower()}
        if setup.descriptor:
            Path(folder, "descriptor.pb").write_bytes(setup.descriptor)
            options["proto-descriptor"] = f"{folder}/descriptor.pb"
        plugin = [f"plugins.envoy_ext_authz_grpc.{name}={value}" for name, value in options.items()]
        settings = [f"--set={setting}" for setting in (*plugin, *setup.opa)]
        command = [str(binary), "run", "--server", "--addr=127.0.0.1:0", "--log-level=error", *settings, str(path)]
        process = subprocess.Popen(command, env={**os.environ, **setup.environment})
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                _wait(channel)
                yield Plugin(f"127.0.0.1:{port}", process.pid, channel)
        finally:
            process.terminate()
            process.wait(10)


def _wait(channel: grpc.Channel) -> None:
    grpc.channel_ready_future(channel).result(timeout=30)
    time.sleep(0.5)  # the listener is there before the policies are


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
