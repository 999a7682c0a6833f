"""The program that `helm test` runs, against a real ztag."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from k8s.verify import rendering
from ztag_extauthz.demo.processes import Ztag, folder_for, free_ports

pytestmark = pytest.mark.e2e
PROGRAM = rendering.CHART / "files" / "check.py"
DENY = rendering.CHART / "files" / "deny.rego"


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[int, int]]:
    with folder_for("helm") as folder:
        grpc, admin = free_ports(2)
        ztag = Ztag(configuration(folder, grpc, admin), folder)
        yield grpc, admin
        ztag.stop()


def configuration(folder: Path, grpc: int, admin: int) -> Path:
    """Write what the chart writes by default, on loopback."""
    chart = rendering.named(rendering.render({}), "ConfigMap", "ztag")["data"]["ztag.yaml"]
    settings = yaml.safe_load(chart)
    settings["listen"] = {"grpc": f"127.0.0.1:{grpc}", "admin": f"127.0.0.1:{admin}"}
    settings["authorization"][0]["policies"] = [str(DENY)]
    settings["server"]["drain_delay"] = 0
    file = folder / "ztag.yaml"
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return file


def ran(grpc: int, admin: int, plaintext: str = "true") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOST": "127.0.0.1", "GRPC_PORT": str(grpc), "ADMIN_PORT": str(admin)}
    command = [sys.executable, str(PROGRAM)]
    return subprocess.run(  # noqa: S603 - our own program
        command, capture_output=True, check=False, text=True, env={**environment, "PLAINTEXT": plaintext}
    )


def test_a_ztag_that_answers_passes(ports: tuple[int, int]) -> None:
    done = ran(*ports)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["readyz 200", "check answered with status 7"]


def test_a_ztag_that_wants_certificates_is_asked_for_its_readiness(ports: tuple[int, int]) -> None:
    done = ran(0, ports[1], plaintext="false")
    assert done.returncode == 0, done.stderr
    assert "readiness is what can be seen from here" in done.stdout


def test_a_ztag_that_is_away_fails(ports: tuple[int, int]) -> None:
    assert ran(free_ports(1)[0], ports[1]).returncode != 0
    assert ran(ports[0], free_ports(1)[0]).returncode != 0
