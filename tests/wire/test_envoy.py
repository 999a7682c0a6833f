"""The Envoy configurations that we write are what a real Envoy accepts, and fail closed."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.certificates import Authority
from ztag_extauthz.demo.processes import envoy_path
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.settings import Settings, load
from ztag_extauthz.wire.bootstrap import Surroundings, envoy_bootstrap
from ztag_extauthz.wire.envoy import ClientTls, Wishes, ext_authz_filter, ztag_cluster
from ztag_extauthz.wire.print import Order, envoy_yaml
from ztag_extauthz.wire.text import NOTES, to_plain, to_yaml

ROOT = Path(__file__).parents[2]
ORDER = Order(
    full=True, host="ztag", upstream="upstream:8080", timeout=0.25, body_bytes=8192, raw_headers=False, server_name=""
)


def settings_with(**sections: Any) -> Settings:
    rest = {"authentication": [{"kind": "anonymous"}], "authorization": [{"kind": "rego", "policies": ["p"]}]}
    return Settings.model_validate(rest | sections)


def validate(config: Path) -> None:
    """Have a real Envoy read a configuration."""
    command = [str(envoy_path()), "--mode", "validate", "--use-dynamic-base-id", "-c", str(config)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own
    assert result.returncode == 0, result.stderr


def envoy_configurations() -> list[Path]:
    """Return every Envoy configuration in the repository."""
    found = [path for folder in ("envoy", "k8s", "docs", "loadtest") for path in ROOT.glob(f"{folder}/**/*.yaml")]
    return [path for path in found if "static_resources" in path.read_text()]


@pytest.mark.parametrize("config", envoy_configurations(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_configuration_in_the_repository_is_valid(config: Path) -> None:
    validate(config)


def test_the_repository_has_a_configuration() -> None:
    assert ROOT / "envoy/envoy.yaml" in envoy_configurations()


def test_the_shipped_configuration_is_fresh() -> None:
    """`make docs` writes it."""
    assert (ROOT / "envoy/envoy.yaml").read_text() == envoy_yaml(load(ROOT / "envoy/ztag.yaml", {}), ORDER)


@pytest.mark.parametrize("transport", ["tcp", "unix", "tls", "mtls"])
def test_each_transport_is_valid(transport: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = authority.issue("envoy", [])
    listen: dict[str, Any] = {"grpc": f"unix://{tmp_path}/z.sock"} if transport == "unix" else {}
    if transport.endswith("tls"):
        listen["tls"] = {"certificate": "c", "key": "k"} | ({"client_ca": "ca"} if transport == "mtls" else {})
    tls = ClientTls(server_name="ztag.test", ca=authority.file, certificate=own.certificate, key=own.key)
    wishes = Wishes(tls=tls, body_bytes=1024, raw_headers=True)
    settings = settings_with(listen=listen, server={"workers": 3}, response={"owned_headers": ["X-User"]})
    document = to_plain(envoy_bootstrap(settings, wishes, Surroundings()))
    config = tmp_path / "envoy.yaml"
    config.write_text(to_yaml(document))
    validate(config)
    shows_certificate = "tls_certificates" in config.read_text()
    assert shows_certificate is (transport == "mtls")


def test_errors_are_refused() -> None:
    config = to_plain(ext_authz_filter(Wishes()))["typed_config"]
    assert config["failure_mode_allow"] is False
    assert config["status_on_error"] == {"code": "ServiceUnavailable"}
    assert config["validate_mutations"] is True
    assert config.get("clear_route_cache", False) is False


def test_s28_nothing_of_ours_chooses_another_route() -> None:
    """A header that we inject must not lead to a route without ext_authz: the route was chosen before it."""
    assert "clear_route_cache" not in (ROOT / "envoy/envoy.yaml").read_text()


def test_a_try_leaves_time_for_another() -> None:
    """Envoy takes the largest pause between two tries for the timeout of each."""
    grpc = to_plain(ext_authz_filter(Wishes(timeout=0.25)))["typed_config"]["grpc_service"]
    assert grpc["timeout"] == "0.250s"
    assert grpc["retry_policy"]["retry_back_off"]["max_interval"] == "0.100s"


def test_each_worker_has_an_endpoint() -> None:
    cluster = to_plain(ztag_cluster(settings_with(server={"workers": 3}), Wishes()))
    endpoints = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    ports = [entry["endpoint"]["address"]["socket_address"]["port_value"] for entry in endpoints]
    assert ports == [9191, 9192, 9193]
    assert cluster["lb_policy"] == "LEAST_REQUEST"
    assert cluster["type"] == "STATIC"


def test_names_are_resolved() -> None:
    assert to_plain(ztag_cluster(settings_with(), Wishes(host="ztag.example")))["type"] == "STRICT_DNS"


def test_an_address_of_all_interfaces_is_asked_on_loopback() -> None:
    settings = settings_with(listen={"grpc": "0.0.0.0:9191", "insecure_plaintext": True})
    assert "127.0.0.1" in to_yaml(to_plain(ztag_cluster(settings, Wishes())))


def test_no_streams_are_limited() -> None:
    """Envoy fails requests whose stream is refused."""
    assert "max_concurrent_streams" not in (ROOT / "envoy/envoy.yaml").read_text()


def test_the_parts_are_ready_to_paste() -> None:
    text = envoy_yaml(settings_with(), Order(**{**_fields(ORDER), "full": False}))
    document = yaml.safe_load(text)
    assert document["http_filters"][0]["name"] == "envoy.filters.http.ext_authz"
    assert document["clusters"][0]["name"] == "ztag"


def test_every_note_is_beside_its_setting() -> None:
    settings = settings_with(response={"owned_headers": ["x-user"]})
    wishes = Wishes(body_bytes=1, raw_headers=True)
    text = to_yaml(to_plain(envoy_bootstrap(settings, wishes, Surroundings())))
    assert [key for key, note in NOTES.items() if f"# {note}\n" not in text] == []


def test_an_upstream_that_is_no_address_is_refused() -> None:
    with pytest.raises(SettingsError, match="write host:port"):
        envoy_yaml(settings_with(), Order(**{**_fields(ORDER), "upstream": "nowhere"}))


def _fields(order: Order) -> dict[str, Any]:
    return {name: getattr(order, name) for name in order.__struct_fields__}
