"""The examples are valid, have no pitfall, and the shop's objects fit together."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s.verify import istiod, rendering, schemas
from ztag_extauthz.demo.processes import envoy_path
from ztag_extauthz.wire.check import findings

FOLDER = Path(__file__).parents[2] / "k8s" / "examples"
ENVOY = FOLDER / "spire" / "envoy.yaml"
ADAPTER = FOLDER / "prometheus-adapter.yaml"
MANIFESTS = [path for path in sorted(FOLDER.glob("**/*.yaml")) if path not in {ENVOY, ADAPTER, istiod.EXAMPLE}]


def documents(path: Path) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all(path.read_text(encoding="utf-8")) if found]


def shop() -> list[dict[str, Any]]:
    return [found for path in MANIFESTS if path.parent.name == "shop" for found in documents(path)]


@pytest.mark.parametrize("path", MANIFESTS, ids=[path.name for path in MANIFESTS])
def test_manifests_follow_their_schemas(path: Path) -> None:
    if schemas.custom_resources() is None:
        pytest.skip("no schemas of custom resources: set CRD_SCHEMAS to their folder")
    assert [problem for found in documents(path) for problem in schemas.problems(found)] == []


@pytest.mark.parametrize("path", [*MANIFESTS, ENVOY], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_manifests_have_no_pitfall(path: Path) -> None:
    # SPIRE's own objects know nothing of ztag: that is told, and is no pitfall.
    assert [found for found in findings([path]) if "nothing that is checked" not in str(found.mistake)] == []


def test_the_shop_as_a_whole_has_no_pitfall(tmp_path: Path) -> None:
    values = istiod.values()
    printed = rendering.notes(values)
    config = "\n".join(
        line[4:] for line in printed[printed.index("    extensionProviders:") :].partition("\n\n")[0].split("\n")
    )
    (tmp_path / "mesh.yaml").write_text(config, encoding="utf-8")
    (tmp_path / "chart.yaml").write_text(yaml.safe_dump_all(rendering.render(values)), encoding="utf-8")
    files = [path for path in MANIFESTS if path.parent.name == "shop"]
    assert findings([tmp_path / "mesh.yaml", tmp_path / "chart.yaml", *files]) == ()


@pytest.mark.e2e
def test_envoy_accepts_the_sidecar() -> None:
    command = [str(envoy_path()), "--mode", "validate", "-c", str(ENVOY)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)  # noqa: S603 - our own file
    assert done.returncode == 0, done.stderr


def test_every_principal_of_the_shop_is_a_service_account() -> None:
    accounts = {found["metadata"]["name"] for found in shop() if found["kind"] == "ServiceAccount"}
    policies = [*shop(), *rendering.render(istiod.values())]
    named = re.findall(r"cluster\.local/ns/shop/sa/([a-z]+)", yaml.safe_dump_all(policies))
    assert named
    assert set(named) <= accounts


def test_only_orders_reaches_the_database() -> None:
    policy = rendering.named(shop(), "AuthorizationPolicy", "database")["spec"]
    assert policy["action"] == "ALLOW"
    assert policy["rules"][0]["from"] == [{"source": {"principals": ["cluster.local/ns/shop/sa/orders"]}}]
    network = rendering.named(shop(), "NetworkPolicy", "database")["spec"]
    assert network["ingress"][0]["from"] == [{"podSelector": {"matchLabels": {"app": "orders"}}}]


def test_the_adapter_serves_what_the_autoscaler_asks_for() -> None:
    rule = documents(ADAPTER)[0]["rules"]["custom"][0]
    assert rule["name"]["as"] == rendering.chart().values["autoscaling"]["requestsPerSecond"]["metric"]
