"""A whole Envoy around the filter: a listener whose paths are read in one way only, a route, an upstream."""

from datetime import timedelta

from envoy_data_plane.envoy.config.accesslog import v3 as accesslog
from envoy_data_plane.envoy.config.bootstrap import v3 as bootstrap
from envoy_data_plane.envoy.config.cluster import v3 as cluster
from envoy_data_plane.envoy.config.common.mutation_rules import v3 as mutation
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.endpoint import v3 as endpoint
from envoy_data_plane.envoy.config.listener import v3 as listener
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.access_loggers.stream.v3 import StdoutAccessLog
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.extensions.formatter.req_without_query.v3 import ReqWithoutQuery
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 import HeaderMutation
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from envoy_data_plane.google.protobuf import Any, Value
from envoy_data_plane.google.protobuf import Struct as JsonObject
from msgspec import Struct

from ztag_extauthz.settings import Settings
from ztag_extauthz.wire.envoy import Wishes, ext_authz_filter, outcome_logs, socket_address, ztag_cluster

UPSTREAM = "upstream"


class Surroundings(Struct, frozen=True, kw_only=True):
    """What a whole Envoy needs besides ztag."""

    listen: tuple[str, int] = ("0.0.0.0", 10000)  # noqa: S104 - an edge is there to be reached
    admin: tuple[str, int] = ("127.0.0.1", 9901)
    upstream: tuple[str, int] = ("127.0.0.1", 8080)
    upstream_by_name: bool = False
    """The upstream's host is a DNS name."""


def envoy_bootstrap(settings: Settings, wishes: Wishes, around: Surroundings) -> bootstrap.Bootstrap:
    """Return a configuration that Envoy can start with."""
    return bootstrap.Bootstrap(
        admin=bootstrap.Admin(address=socket_address(*around.admin)),
        static_resources=bootstrap.BootstrapStaticResources(
            listeners=[_listener(settings, wishes, around)],
            clusters=[ztag_cluster(settings, wishes), _upstream(around)],
        ),
    )


def connection_manager(settings: Settings, wishes: Wishes) -> hcm.HttpConnectionManager:
    """Return the connection manager: what the upstream reads must be what was decided on."""
    underscores = core.HttpProtocolOptionsHeadersWithUnderscoresAction.REJECT_REQUEST
    return hcm.HttpConnectionManager(
        stat_prefix="edge",
        use_remote_address=True,
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action=hcm.HttpConnectionManagerPathWithEscapedSlashesAction.REJECT_REQUEST,
        common_http_protocol_options=core.HttpProtocolOptions(
            idle_timeout=timedelta(minutes=5), headers_with_underscores_action=underscores
        ),
        request_headers_timeout=timedelta(seconds=10),
        stream_idle_timeout=timedelta(minutes=5),
        access_log=[_access_log(), *outcome_logs(settings)],
        early_header_mutation_extensions=[_header_hygiene(settings)],
        http_filters=[
            ext_authz_filter(wishes),
            hcm.HttpFilter(name="envoy.filters.http.router", typed_config=Any.pack(Router())),
        ],
        route_config=route.RouteConfiguration(
            name="edge",
            virtual_hosts=[
                route.VirtualHost(
                    name="all",
                    domains=["*"],
                    routes=[
                        route.Route(
                            match=route.RouteMatch(prefix="/"),
                            route=route.RouteAction(cluster=UPSTREAM, timeout=timedelta(seconds=15)),
                        )
                    ],
                )
            ],
        ),
    )


def _access_log() -> accesslog.AccessLog:
    """Write a JSON line for each request, with the id of ztag's audit line; queries may hold secrets."""
    line = {
        "time": "%START_TIME%",
        "method": "%REQ(:METHOD)%",
        "path": "%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH)%",
        "status": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
        "duration": "%DURATION%",
        "decision_id": "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:decision_id)%",
    }
    json_format = JsonObject(fields={name: Value(string_value=text) for name, text in line.items()})
    without_query = core.TypedExtensionConfig(
        name="envoy.formatter.req_without_query", typed_config=Any.pack(ReqWithoutQuery())
    )
    log = StdoutAccessLog(log_format=core.SubstitutionFormatString(json_format=json_format, formatters=[without_query]))
    return accesslog.AccessLog(name="envoy.access_loggers.stdout", typed_config=Any.pack(log))


def _header_hygiene(settings: Settings) -> core.TypedExtensionConfig:
    """Drop a client's copies of our headers before any filter runs; ztag removes them once more.

    This one also holds where `failure_mode_allow` lets a request go on that ztag never saw.
    """
    names = [matcher.StringMatcher(exact=name.lower()) for name in settings.response.all_owned_headers]
    mutations = [
        mutation.HeaderMutation(remove_on_match=mutation.HeaderMutationRemoveOnMatch(key_matcher=match))
        for match in (matcher.StringMatcher(prefix="x-ztag-"), *names)
    ]
    return core.TypedExtensionConfig(
        name="envoy.http.early_header_mutation.header_mutation",
        typed_config=Any.pack(HeaderMutation(mutations=mutations)),
    )


def _listener(settings: Settings, wishes: Wishes, around: Surroundings) -> listener.Listener:
    manager = listener.Filter(
        name="envoy.filters.network.http_connection_manager",
        typed_config=Any.pack(connection_manager(settings, wishes)),
    )
    return listener.Listener(
        name="edge",
        address=socket_address(*around.listen),
        per_connection_buffer_limit_bytes=32768,
        filter_chains=[listener.FilterChain(filters=[manager])],
    )


def _upstream(around: Surroundings) -> cluster.Cluster:
    target = endpoint.LbEndpoint(endpoint=endpoint.Endpoint(address=socket_address(*around.upstream)))
    kinds = cluster.ClusterDiscoveryType
    return cluster.Cluster(
        name=UPSTREAM,
        type=kinds.STRICT_DNS if around.upstream_by_name else kinds.STATIC,
        connect_timeout=timedelta(seconds=1),
        load_assignment=endpoint.ClusterLoadAssignment(
            cluster_name=UPSTREAM, endpoints=[endpoint.LocalityLbEndpoints(lb_endpoints=[target])]
        ),
    )
