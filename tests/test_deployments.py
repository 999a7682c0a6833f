"""Compose file, image and Kubernetes manifests fit the settings and keep to what they promise."""

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from ztag_extauthz import __version__
from ztag_extauthz.cli.common import resources_for
from ztag_extauthz.settings import load
from ztag_extauthz.settings.addresses import split_address
from ztag_extauthz.wiring import build

ROOT = Path(__file__).parents[1]
MANIFESTS = {entry["kind"]: entry for entry in yaml.safe_load_all((ROOT / "k8s/ztag.yaml").read_text())}
COMPOSE = yaml.safe_load((ROOT / "envoy/compose.yaml").read_text())["services"]


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = MANIFESTS["Deployment"]["spec"]["template"]["spec"]
    return spec


def test_the_config_map_holds_settings_that_load(tmp_path: Path) -> None:
    for name, text in MANIFESTS["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(text)
    settings = load(tmp_path / "ztag.yaml", {})
    ports = {entry["name"]: entry["containerPort"] for entry in pod()["containers"][0]["ports"]}
    assert split_address(settings.listen.grpc) == ("0.0.0.0", ports["grpc"])
    assert split_address(settings.listen.admin) == ("0.0.0.0", ports["admin"])
    needed = settings.server.drain_delay + settings.server.drain_timeout
    assert pod()["terminationGracePeriodSeconds"] > needed


def test_the_config_map_builds(tmp_path: Path) -> None:
    for name, text in MANIFESTS["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(text)
    gateway = build(load(tmp_path / "ztag.yaml", {}), resources_for(tmp_path))
    assert {entry.component for entry in gateway.readiness()} >= {"policy envoy/authz/result"}


def test_the_pod_is_restricted() -> None:
    (container,) = pod()["containers"]
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod()["automountServiceAccountToken"] is False
    assert pod()["enableServiceLinks"] is False


def test_s32_only_gateways_reach_the_grpc_port_and_only_monitoring_the_admin_port() -> None:
    rules = MANIFESTS["NetworkPolicy"]["spec"]["ingress"]
    found = [(entry["port"], peer["podSelector"]) for rule in rules for entry in rule["ports"] for peer in rule["from"]]
    labels = {"grpc": "asks", "admin": "scrapes"}
    assert found == [(port, {"matchLabels": {f"ztag.dev/{label}": "true"}}) for port, label in labels.items()]


def test_image_and_manifests_name_this_version() -> None:
    assert pod()["containers"][0]["image"] == f"ztag:{__version__}"


def test_the_containers_are_hardened() -> None:
    assert {"envoy", "ztag", "redis", "opa", "upstream", "issuer"} == COMPOSE.keys()
    for service in COMPOSE.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
    for service in COMPOSE.values():
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_image_is_not_run_by_root() -> None:
    dockerfile = (ROOT / "envoy/Dockerfile").read_text()
    assert re.findall(r"^USER (\S+)$", dockerfile, re.MULTILINE) == ["65532:65532"]
    assert "--require-hashes" in (ROOT / "envoy/install.sh").read_text()


def test_the_locks_hold_what_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {
        _name(line)
        for lines in ([*project["optional-dependencies"].values(), project["dependencies"]])
        for line in lines
    }
    locked = _locked("requirements.lock")
    assert wanted - {"ztag-extauthz"} <= locked
    assert {_name(line) for line in project["dependencies"]} <= _locked("envoy/requirements.lock")
    assert "://" not in (ROOT / "requirements.lock").read_text()


def _locked(file: str) -> set[str]:
    return {_name(line) for line in (ROOT / file).read_text().splitlines() if re.match(r"[a-z]", line)}


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-").replace(".", "-")
