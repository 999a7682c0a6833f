"""`ztag wire istio|gateway`: objects for the settings in force, which their own check finds nothing wrong with."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s.verify import cases, rendering, schemas
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.settings import Settings
from ztag_extauthz.wire import gateway, istio
from ztag_extauthz.wire.check import findings

needs_schemas = pytest.mark.skipif(
    schemas.custom_resources() is None, reason="no schemas of custom resources: set CRD_SCHEMAS to their folder"
)
OPEN = {"grpc": "0.0.0.0:9191", "insecure_plaintext": True}
MESHES = {
    "sidecar": istio.MeshWishes(namespace="shop"),
    "peer certificate": istio.MeshWishes(namespace="shop", peer_certificate=True, body_bytes=8192),
    "everything asked": istio.MeshWishes(namespace="shop", excluded_paths=()),
    "ambient": istio.MeshWishes(namespace="shop", mode="ambient"),
}
GATEWAYS = {
    "same namespace": gateway.GatewayWishes(namespace="ztag-system"),
    "elsewhere": gateway.GatewayWishes(namespace="edge", target="HTTPRoute/orders", body_bytes=4096),
}


def settings(listen: dict[str, Any] | None = None, **changed: Any) -> Settings:
    authentication = [cases.JWT, {"kind": "anonymous"}]
    document = {"listen": listen or OPEN, "authentication": authentication, "authorization": [cases.REGO], **changed}
    return Settings.model_validate(document)


def tls() -> dict[str, Any]:
    return {"grpc": "0.0.0.0:9191", "tls": {"certificate": "a", "key": "b", "client_ca": "c"}}


def written(folder: Path, objects: tuple[dict[str, Any], ...]) -> Path:
    file = folder / "objects.yaml"
    file.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
    return file


@pytest.mark.parametrize("wishes", MESHES.values(), ids=MESHES.keys())
def test_what_is_printed_for_istio_has_no_pitfall(wishes: istio.MeshWishes, tmp_path: Path) -> None:
    file = written(tmp_path, (istio.mesh_config(settings(), wishes), *istio.objects(settings(), wishes)))
    assert findings([file]) == ()


@pytest.mark.parametrize("wishes", GATEWAYS.values(), ids=GATEWAYS.keys())
@pytest.mark.parametrize("listen", [OPEN, tls()], ids=["plain", "tls"])
def test_what_is_printed_for_a_gateway_has_no_pitfall(
    wishes: gateway.GatewayWishes, listen: dict[str, Any], tmp_path: Path
) -> None:
    assert findings([written(tmp_path, gateway.objects(settings(listen), wishes))]) == ()


@needs_schemas
@pytest.mark.parametrize("wishes", MESHES.values(), ids=MESHES.keys())
def test_istio_objects_follow_their_schemas(wishes: istio.MeshWishes) -> None:
    assert [problem for found in istio.objects(settings(), wishes) for problem in schemas.problems(found)] == []


@needs_schemas
@pytest.mark.parametrize("wishes", GATEWAYS.values(), ids=GATEWAYS.keys())
def test_gateway_objects_follow_their_schemas(wishes: gateway.GatewayWishes) -> None:
    objects = gateway.objects(settings(tls()), wishes)
    assert [problem for found in objects for problem in schemas.problems(found)] == []


def test_the_chart_and_the_command_say_the_same() -> None:
    wishes = istio.MeshWishes(namespace="shop", selector={"app": "orders"}, peer_certificate=True)
    wired = {found["kind"]: found["spec"] for found in istio.objects(settings(), wishes)}
    filters = {"includePeerCertificate": True, "includeTlsSession": True}
    chart = rendering.render({"istio": {**cases.ISTIO, "filter": filters}})
    policy = rendering.named(chart, "AuthorizationPolicy", "orders-ztag")
    assert policy["spec"] == wired["AuthorizationPolicy"]
    assert rendering.named(chart, "EnvoyFilter", "orders-ztag")["spec"] == wired["EnvoyFilter"]
    rule = rendering.named(chart, "DestinationRule", "ztag")["spec"]
    assert rule["host"] == wired["DestinationRule"]["host"]
    assert rule["trafficPolicy"]["tls"] == wired["DestinationRule"]["trafficPolicy"]["tls"]


def test_identity_providers_of_the_settings_are_let_out() -> None:
    entries = [found for found in istio.objects(settings(), MESHES["sidecar"]) if found["kind"] == "ServiceEntry"]
    assert [entry["spec"]["hosts"] for entry in entries] == [["issuer.example"]]


@pytest.mark.parametrize(
    ("keys", "asked"),
    [({"file": "keys.json"}, set()), ({"url": "https://keys.example:8443/jwks"}, {("keys.example", 8443)})],
)
def test_who_is_never_asked_is_not_let_out(keys: dict[str, str], asked: set[tuple[str, int]]) -> None:
    jwt = {**cases.JWT, "audiences": ["https://api.example"], "jwks": keys}
    assert istio.issuers(settings(authentication=[jwt])) == asked


@pytest.mark.parametrize(
    ("listen", "changed", "message"),
    [
        (tls(), {}, "the mesh encrypts"),
        ({"grpc": "unix:///run/ztag.sock"}, {}, "listen on 0.0.0.0:9191"),
        (OPEN, {"server": {"workers": 2}}, "run more pods"),
    ],
    ids=["own tls", "unix socket", "workers"],
)
def test_settings_that_a_mesh_cannot_reach_are_refused(
    listen: dict[str, Any], changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        istio.objects(settings(listen, **changed), istio.MeshWishes())


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        (istio.MeshWishes(service="ztag"), "write ztag.NAMESPACE.svc.cluster.local"),
        (istio.MeshWishes(excluded_paths=("/healthz", "ready")), "--exclude: 'ready' does not begin with /"),
        (istio.MeshWishes(mode="ambient", peer_certificate=True), "never sees the caller's certificate"),
    ],
    ids=["short name", "no path", "certificate at a waypoint"],
)
def test_wishes_that_a_mesh_cannot_grant_are_refused(wishes: istio.MeshWishes, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        istio.objects(settings(), wishes)


@pytest.mark.parametrize("text", ["app", "", "app=orders,tier", "=x", "app="])
def test_a_selector_that_would_select_more_than_was_meant_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"--selector: .* is no label \(write key=value"):
        istio.labels(text)
