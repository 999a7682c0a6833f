"""The chart, rendered: every choice gives valid objects, every mistake is refused with its remedy."""

import ast
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import helm_python
import promql_parser
import pytest
import yaml

from k8s.verify import cases, rendering, schema, schemas
from ztag_extauthz.meter import METRICS
from ztag_extauthz.server import exposition

needs_schemas = pytest.mark.skipif(
    schemas.custom_resources() is None, reason="no schemas of custom resources: set CRD_SCHEMAS to their folder"
)


def pod(values: dict[str, Any]) -> dict[str, Any]:
    deployment = rendering.named(rendering.render(values), "Deployment", "ztag")
    return dict(deployment["spec"]["template"])


def container(values: dict[str, Any]) -> dict[str, Any]:
    return dict(pod(values)["spec"]["containers"][0])


def test_the_schema_is_that_of_the_settings() -> None:
    assert schema.TARGET.read_text(encoding="utf-8") == schema.text(), "run: python -m k8s.verify.schema"


def test_the_defaults_lint() -> None:
    report = helm_python.lint(rendering.CHART, strict=True)
    assert [message for message in report["messages"] if message["severity"] > 1] == []
    assert report["errors"] == []


@pytest.mark.parametrize("values", cases.RIGHT.values(), ids=cases.RIGHT.keys())
def test_core_objects_are_valid(values: dict[str, Any]) -> None:
    objects = [found for found in rendering.render(values) if not schemas.is_custom(found)]
    assert objects
    assert [problem for found in objects for problem in schemas.problems(found)] == []


@needs_schemas
@pytest.mark.parametrize("values", cases.RIGHT.values(), ids=cases.RIGHT.keys())
def test_custom_objects_are_valid(values: dict[str, Any]) -> None:
    objects = [found for found in rendering.render(values) if schemas.is_custom(found)]
    assert [problem for found in objects for problem in schemas.problems(found)] == []


@needs_schemas
def test_an_unknown_field_of_a_custom_object_is_noticed() -> None:
    policy = rendering.named(rendering.render({"istio": cases.ISTIO}), "AuthorizationPolicy", "orders-ztag")
    policy["spec"]["providers"] = policy["spec"].pop("provider")
    assert any("'providers' was unexpected" in problem for problem in schemas.problems(policy))


def test_an_unknown_field_of_a_core_object_is_noticed() -> None:
    deployment = rendering.named(rendering.render({}), "Deployment", "ztag")
    deployment["spec"]["template"]["spec"]["containers"][0]["readyProbe"] = {}
    assert any("readyProbe" in problem for problem in schemas.problems(deployment))


@pytest.mark.parametrize(("values", "message"), cases.WRONG.values(), ids=cases.WRONG.keys())
def test_a_wrong_value_is_refused_with_its_remedy(values: dict[str, Any], message: str) -> None:
    with pytest.raises(helm_python.HelmError) as refused:
        rendering.render(values)
    assert message in str(refused.value)


def test_there_are_enough_cases() -> None:
    assert len(cases.RIGHT) >= 25
    assert len(cases.WRONG) >= 12


@pytest.mark.parametrize("values", cases.RIGHT.values(), ids=cases.RIGHT.keys())
def test_every_pod_is_restricted(values: dict[str, Any]) -> None:
    for found in rendering.render(values):
        spec = found["spec"] if found["kind"] == "Pod" else found.get("spec", {}).get("template", {}).get("spec")
        if not spec or found["kind"] not in {"Pod", "Deployment"}:
            continue
        assert spec["securityContext"]["runAsNonRoot"]
        for entry in [*spec.get("initContainers", []), *spec["containers"]]:
            security = entry["securityContext"]
            assert security["readOnlyRootFilesystem"]
            assert not security["allowPrivilegeEscalation"]
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert security["seccompProfile"] == {"type": "RuntimeDefault"}
            assert "memory" in entry["resources"]["limits"]


def test_no_token_of_the_service_account_unless_needed() -> None:
    assert pod({})["spec"]["automountServiceAccountToken"] is False
    assert pod(cases.RIGHT["service account token"])["spec"]["automountServiceAccountToken"] is False
    assert pod(cases.RIGHT["vault agent"])["spec"]["automountServiceAccountToken"] is True


@pytest.mark.parametrize("name", ["defaults", "grpcio", "mtls from a secret", "mtls from spiffe", "istio"])
def test_ztag_accepts_the_configuration(name: str) -> None:
    """What the chart writes passes ztag's own checks, those between the sections included."""
    from ztag_extauthz.settings.document import parse
    from ztag_extauthz.settings.loading import settings_of

    text = rendering.named(rendering.render(cases.RIGHT[name]), "ConfigMap", "ztag")["data"]["ztag.yaml"]
    settings = settings_of(parse(text, "ztag.yaml"))
    assert settings.listen.grpc == "0.0.0.0:9191"
    assert settings.listen.insecure_plaintext is not name.startswith("mtls")


def test_a_changed_policy_or_configuration_rolls_the_pods() -> None:
    def checksums(values: dict[str, Any]) -> set[str]:
        annotations = pod(values)["metadata"]["annotations"]
        return {value for key, value in annotations.items() if key.startswith("checksum/")}

    unchanged = checksums({})
    assert len(checksums({"config": {"server": {"drain_timeout": 21}}}) & unchanged) == 1
    assert len(checksums({"policy": {"files": {"deny.rego": "package envoy.authz"}}}) & unchanged) == 1


def test_policies_of_the_operator_take_the_place_of_the_one_that_denies() -> None:
    def names(values: dict[str, Any]) -> set[str]:
        return set(rendering.named(rendering.render(values), "ConfigMap", "ztag-policy")["data"])

    assert names({}) == {"deny.rego"}
    assert names({"policy": {"files": {"mine.rego": "package envoy.authz"}}}) == {"mine.rego"}


def test_the_pod_outlives_every_drain_before_it() -> None:
    values = {
        "preStopSeconds": 7,
        "config": {"server": {"drain_delay": 3, "drain_timeout": 40.5}},
        "istio": cases.ISTIO,
    }
    found = pod(values)
    assert found["spec"]["terminationGracePeriodSeconds"] == 7 + 3 + 41 + 5
    assert container(values)["lifecycle"] == {"preStop": {"sleep": {"seconds": 7}}}
    assert "terminationDrainDuration: 56s" in found["metadata"]["annotations"]["proxy.istio.io/config"]


def test_probes_do_not_touch_the_listener_that_wants_certificates() -> None:
    found = container(cases.RIGHT["mtls from cert-manager"])
    ports = {found[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert ports == {"http-admin"}


def test_the_autoscaler_owns_the_number_of_replicas() -> None:
    assert "replicas" not in rendering.named(rendering.render({}), "Deployment", "ztag")["spec"]
    fixed = rendering.render(cases.RIGHT["fixed size"])
    assert rendering.named(fixed, "Deployment", "ztag")["spec"]["replicas"] == 5


def test_notes_print_the_extension_provider() -> None:
    printed = rendering.notes({"istio": cases.ISTIO})
    snippet = yaml.safe_load(printed[printed.index("    extensionProviders:") :].partition("\n\n")[0])
    assert snippet["extensionProviders"] == [
        {
            "name": "ztag",
            "envoyExtAuthzGrpc": {
                "service": "ztag.ztag-system.svc.cluster.local",
                "port": 9191,
                "timeout": "0.5s",
                "statusOnError": "503",
            },
        }
    ]


def test_notes_warn_of_plain_text_without_a_mesh() -> None:
    assert "whoever reaches the port can ask" in rendering.notes({})
    assert "whoever reaches the port can ask" not in rendering.notes({"istio": cases.ISTIO})


def metric_names(text: str) -> set[str]:
    return set(re.findall(r"\bztag_[a-z_]+", text))


def test_rules_and_dashboard_ask_for_metrics_that_exist() -> None:
    exposed = {
        name + suffix
        for name, metric in METRICS.items()
        for suffix in {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}[metric.kind]
    }
    exposed |= metric_names(Path(exposition.__file__).read_text(encoding="utf-8"))
    objects = rendering.render(cases.RIGHT["everything"])
    rules = yaml.safe_dump(rendering.named(objects, "PrometheusRule", "ztag"))
    dashboard = rendering.named(objects, "ConfigMap", "ztag-dashboard")["data"]["ztag.json"]
    assert json.loads(dashboard)["panels"]
    assert metric_names(rules) | metric_names(dashboard) <= exposed


def test_rules_and_dashboard_are_promql() -> None:
    objects = rendering.render(cases.RIGHT["everything"])
    groups = rendering.named(objects, "PrometheusRule", "ztag")["spec"]["groups"]
    dashboard = json.loads(rendering.named(objects, "ConfigMap", "ztag-dashboard")["data"]["ztag.json"])
    rules = [rule["expr"] for group in groups for rule in group["rules"]]
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(rules) > 10
    for expression in [*rules, *(panel.replace("$__rate_interval", "5m") for panel in panels)]:
        promql_parser.parse(expression)


def test_every_alert_has_a_runbook() -> None:
    rules = rendering.named(rendering.render(cases.RIGHT["everything"]), "PrometheusRule", "ztag")
    alerts = [rule["alert"] for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    page = (rendering.CHART.parent.parent / "docs/platform-runbooks.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (Ztag\w+)$", page, re.MULTILINE) == alerts


@pytest.mark.parametrize(("digest", "code"), [(hashlib.sha256(b"bundle").hexdigest(), 0), ("0" * 64, 1)])
def test_only_the_bundle_that_was_asked_for_is_kept(digest: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "served").write_bytes(b"bundle")
    target = tmp_path / "bundle.tar.gz"
    variables = {"URL": (tmp_path / "served").as_uri(), "SHA256": digest, "TARGET": str(target)}
    program = [sys.executable, str(rendering.CHART / "files" / "fetch.py")]
    done = subprocess.run(program, capture_output=True, check=False, env=variables, text=True)  # noqa: S603 - our own
    assert (done.returncode, target.exists()) == (code, code == 0)
    assert ("not policy.bundle.sha256" in done.stderr) is (code == 1)


def test_the_programs_in_the_pods_are_python() -> None:
    objects = rendering.render(cases.RIGHT["bundle"])
    fetch = rendering.named(objects, "Deployment", "ztag")["spec"]["template"]["spec"]["initContainers"][0]["args"][0]
    check = rendering.named(objects, "Pod", "ztag-test")["spec"]["containers"][0]["args"][0]
    assert ast.parse(fetch)
    assert ast.parse(check)
