"""The filters that istiod makes of the example's provider and policies, in a real Envoy with ztag behind it."""

from collections.abc import Iterator

import pytest

from k8s.verify import istiod
from tests.k8s.parts import Sidecar, sidecar

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("istiod")]
FRONTEND, GATEWAY, DATABASE = "ns/shop/sa/frontend", "ns/edge/sa/gateway", "ns/shop/sa/database"
PROBE = "ns/monitoring/sa/probe"
# caller, method, path, roles of the user's token (None: no token), status
MATRIX = [
    (FRONTEND, "GET", "/orders", None, 200),
    (FRONTEND, "GET", "/orders?page=2", None, 200),
    (FRONTEND, "GET", "/orders/7", None, 200),
    (FRONTEND, "GET", "/orders/7/items", None, 403),
    (FRONTEND, "POST", "/orders", ["buyer"], 200),
    (FRONTEND, "POST", "/orders", ["clerk"], 403),
    (FRONTEND, "POST", "/orders", [], 403),
    (FRONTEND, "POST", "/orders", None, 403),
    (FRONTEND, "DELETE", "/orders/7", ["buyer"], 403),
    (FRONTEND, "GET", "/admin", ["buyer"], 403),
    (GATEWAY, "GET", "/orders", None, 403),
    (DATABASE, "GET", "/orders", None, 403),
    # Allowed by ztag's table but by no policy of the mesh: both have to allow.
    (GATEWAY, "GET", "/shop/cart", None, 403),
    # Excluded from the question, so the mesh's own policy decides alone.
    (PROBE, "GET", "/healthz", None, 200),
    (FRONTEND, "GET", "/healthz", None, 403),
]


@pytest.fixture(scope="module")
def orders() -> Iterator[Sidecar]:
    with sidecar(istiod.kept()) as running:
        yield running


@pytest.mark.parametrize(("caller", "method", "path", "roles", "status"), MATRIX)
def test_the_matrix(  # noqa: PLR0917 - the columns of the table
    orders: Sidecar, caller: str, method: str, path: str, roles: list[str] | None, status: int
) -> None:
    assert orders.ask(caller, method, path, roles) == status


def test_a_token_that_is_not_valid_is_refused(orders: Sidecar) -> None:
    """CUSTOM runs before RequestAuthentication, so it is ztag that says 401."""
    orders.issuer.url, url = "https://somebody.example", orders.issuer.url
    try:
        assert orders.ask(FRONTEND, "GET", "/orders", ["buyer"]) == 401
    finally:
        orders.issuer.url = url


def test_the_excluded_path_is_not_asked_about(orders: Sidecar) -> None:
    def asked() -> int:
        name = f"cluster.{istiod.asked_cluster(istiod.kept()['http_filters'])}"
        return sum(
            value
            for key, value in orders.envoy.stats("cluster.").items()
            if key.startswith(name) and key.endswith(".upstream_rq_total")
        )

    before = asked()
    orders.ask(PROBE, "GET", "/healthz")
    assert asked() == before
    orders.ask(FRONTEND, "GET", "/orders")
    assert asked() == before + 1


def test_without_ztag_nothing_passes() -> None:
    with sidecar(istiod.kept()) as running:
        running.ztag.stop()
        assert running.ask(FRONTEND, "GET", "/orders") == 503
        assert running.ask(PROBE, "GET", "/healthz") == 200


def test_istiod_merges_what_the_provider_cannot_say() -> None:
    config = next(found["typed_config"] for found in istiod.kept()["http_filters"] if "ext_authz" in found["name"])
    assert config["include_peer_certificate"] is True
    assert config["grpc_service"]["timeout"] == "0.500s"
    assert config["status_on_error"] == {"code": "ServiceUnavailable"}
    assert "failure_mode_allow" not in config


def test_a_waypoint_asks_for_the_service_that_the_policy_targets() -> None:
    sidecars, waypoints = ([found["name"] for found in istiod.kept(name)["http_filters"]] for name in istiod.PROXIES)
    assert sidecars[:2] == waypoints == list(istiod.FILTERS)
    with sidecar(istiod.kept("waypoint")) as running:
        assert running.ask(FRONTEND, "GET", "/orders") == 200
        assert running.ask(FRONTEND, "DELETE", "/orders/7") == 403
        assert running.ask(DATABASE, "GET", "/orders") == 403
