"""What `ztag wire envoy` prints."""

from ipaddress import ip_address

from msgspec import Struct

from ztag_extauthz.errors import Mistake, SettingsError
from ztag_extauthz.settings import Settings
from ztag_extauthz.settings.addresses import split_address
from ztag_extauthz.wire.bootstrap import Surroundings, envoy_bootstrap
from ztag_extauthz.wire.envoy import ClientTls, Wishes, ext_authz_filter, outcome_logs, ztag_cluster
from ztag_extauthz.wire.text import to_plain, to_yaml


class Order(Struct, frozen=True, kw_only=True):
    """The command's options."""

    full: bool
    host: str
    upstream: str
    timeout: float
    body_bytes: int
    raw_headers: bool
    server_name: str


def envoy_yaml(settings: Settings, order: Order) -> str:
    """Return YAML for Envoy. Raises `SettingsError` where the upstream is no address."""
    wishes = Wishes(
        host=order.host,
        timeout=order.timeout,
        body_bytes=order.body_bytes,
        raw_headers=order.raw_headers,
        tls=ClientTls(server_name=order.server_name) if order.server_name else None,
    )
    if order.full:
        return to_yaml(to_plain(envoy_bootstrap(settings, wishes, _surroundings(order.upstream))))
    http_filter = {
        **({"access_log": [to_plain(log) for log in logs]} if (logs := outcome_logs(settings)) else {}),
        "http_filters": [to_plain(ext_authz_filter(wishes))],
    }
    clusters = {"clusters": [to_plain(ztag_cluster(settings, wishes))]}
    return (
        f"# Into the HTTP connection manager, before the router:\n{to_yaml(http_filter)}\n"
        f"# Into static_resources:\n{to_yaml(clusters)}"
    )


def _surroundings(upstream: str) -> Surroundings:
    address = split_address(upstream)
    if address is None:
        raise SettingsError((Mistake("--upstream", "is no address", "write host:port"),))
    try:
        ip_address(address[0])
    except ValueError:
        return Surroundings(upstream=address, upstream_by_name=True)
    return Surroundings(upstream=address)
