"""The ext_authz filter and the cluster of ztag's workers, for the settings in force.

Rules
1. Fail closed: an error is 503 to the client, `failure_mode_allow` is never set unless it was asked for.
2. One endpoint a worker: Envoy keeps an HTTP/2 connection with one process, so workers behind one port idle.
3. A Check changes nothing, so one that a dying worker lost is asked again, of another worker, within the timeout.
"""

from datetime import timedelta
from ipaddress import ip_address

from envoy_data_plane.envoy.config.accesslog import v3 as accesslog
from envoy_data_plane.envoy.config.cluster import v3 as cluster
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.endpoint import v3 as endpoint
from envoy_data_plane.envoy.extensions.access_loggers.grpc.v3 import CommonGrpcAccessLogConfig, HttpGrpcAccessLogConfig
from envoy_data_plane.envoy.extensions.filters.http.ext_authz import v3 as ext_authz
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.extensions.retry.host.previous_hosts import v3 as previous_hosts
from envoy_data_plane.envoy.extensions.transport_sockets.tls import v3 as tls
from envoy_data_plane.envoy.extensions.upstreams.http import v3 as upstreams
from envoy_data_plane.envoy.type import v3 as envoy_type
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from envoy_data_plane.google.protobuf import Any
from msgspec import Struct

from ztag_extauthz.settings import Settings, endpoints
from ztag_extauthz.settings.addresses import UNIX, split_address

CLUSTER = "ztag"
MAX_PARALLEL = 8192
"""Checks under way from one Envoy. Its own default, 1,024, would refuse what the workers can still answer; the default
of three retries at a time would lose what a dying worker held."""

SHARE_OF_A_TRY = 0.4
"""How much of the timeout a single try may take."""


class ClientTls(Struct, frozen=True, kw_only=True):
    """What Envoy needs where `listen.tls` is set."""

    server_name: str
    """The DNS name that the server's certificate must carry."""
    ca: str = "/etc/envoy/ztag/ca.pem"
    certificate: str = "/etc/envoy/ztag/tls.pem"
    """Envoy's own certificate, shown where `client_ca` is set."""
    key: str = "/etc/envoy/ztag/tls.key"


class Wishes(Struct, frozen=True, kw_only=True):
    """What Envoy's side wants and ztag's settings do not say."""

    host: str = ""
    """Where Envoy reaches ztag; "" for the address that ztag listens on."""
    timeout: float = 0.25
    """Seconds for one check, retries included; ztag gets it as its deadline."""
    body_bytes: int = 0
    """Send that much of the body (cut, and marked so); 0 for no body."""
    raw_headers: bool = False
    """Send each header field by itself (`header_map`) instead of joined by commas (`headers`)."""
    failure_mode_allow: bool = False
    tls: ClientTls | None = None


def ext_authz_filter(wishes: Wishes) -> hcm.HttpFilter:
    """Return the HTTP filter that asks ztag."""
    body = ext_authz.BufferSettings(max_request_bytes=wishes.body_bytes, allow_partial_message=True, pack_as_bytes=True)
    config = ext_authz.ExtAuthz(
        transport_api_version=core.ApiVersion.V3,
        grpc_service=core.GrpcService(
            envoy_grpc=core.GrpcServiceEnvoyGrpc(cluster_name=CLUSTER),
            timeout=timedelta(seconds=wishes.timeout),
            retry_policy=_retry_policy(wishes.timeout),
        ),
        failure_mode_allow=wishes.failure_mode_allow,
        failure_mode_allow_header_add=wishes.failure_mode_allow,
        status_on_error=envoy_type.HttpStatus(code=envoy_type.StatusCode.ServiceUnavailable),
        validate_mutations=True,
        include_peer_certificate=True,
        include_tls_session=True,
        encode_raw_headers=wishes.raw_headers,
        with_request_body=body if wishes.body_bytes else None,
    )
    return hcm.HttpFilter(name="envoy.filters.http.ext_authz", typed_config=Any.pack(config))


def outcome_logs(settings: Settings) -> list[accesslog.AccessLog]:
    """Return the access log that tells ztag how requests ended; none where nobody wants to know."""
    places = any(getattr(kind, "concurrent", ()) for kind in settings.authorization)
    if not places and not any(getattr(kind, "outcomes", False) for kind in settings.authorization):
        return []
    config = HttpGrpcAccessLogConfig(
        common_config=CommonGrpcAccessLogConfig(
            log_name=CLUSTER,
            transport_api_version=core.ApiVersion.V3,
            grpc_service=core.GrpcService(envoy_grpc=core.GrpcServiceEnvoyGrpc(cluster_name=CLUSTER)),
            # A place that waits for a full buffer, or a second, is a place that somebody else is refused.
            buffer_size_bytes=0 if places else None,
        )
    )
    return [accesslog.AccessLog(name="envoy.access_loggers.http_grpc", typed_config=Any.pack(config))]


def ztag_cluster(settings: Settings, wishes: Wishes) -> cluster.Cluster:
    """Return the cluster: one endpoint a worker, told apart by health checks."""
    addresses = [_address(text, wishes.host) for text in endpoints(settings.listen.grpc, settings.server.workers)]
    named = any(address.socket_address and not _is_ip(address.socket_address.address) for address in addresses)
    return cluster.Cluster(
        name=CLUSTER,
        type=cluster.ClusterDiscoveryType.STRICT_DNS if named else cluster.ClusterDiscoveryType.STATIC,
        connect_timeout=timedelta(seconds=0.25),
        lb_policy=cluster.ClusterLbPolicy.LEAST_REQUEST,
        load_assignment=endpoint.ClusterLoadAssignment(
            cluster_name=CLUSTER,
            endpoints=[
                endpoint.LocalityLbEndpoints(
                    lb_endpoints=[
                        endpoint.LbEndpoint(endpoint=endpoint.Endpoint(address=address)) for address in addresses
                    ]
                )
            ],
        ),
        health_checks=[_health_check()],
        circuit_breakers=cluster.CircuitBreakers(
            thresholds=[
                cluster.CircuitBreakersThresholds(
                    max_pending_requests=MAX_PARALLEL, max_requests=MAX_PARALLEL, max_retries=MAX_PARALLEL
                )
            ]
        ),
        typed_extension_protocol_options={
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": Any.pack(http2_options())
        },
        transport_socket=_transport_socket(settings, wishes),
    )


def http2_options() -> upstreams.HttpProtocolOptions:
    """Return HTTP/2 with pings, so that a peer that vanished without a word is noticed."""
    keepalive = core.KeepaliveSettings(interval=timedelta(seconds=30), timeout=timedelta(seconds=5))
    return upstreams.HttpProtocolOptions(
        explicit_http_config=upstreams.HttpProtocolOptionsExplicitHttpConfig(
            http2_protocol_options=core.Http2ProtocolOptions(connection_keepalive=keepalive)
        )
    )


def socket_address(host: str, port: int) -> core.Address:
    return core.Address(socket_address=core.SocketAddress(address=host, port_value=port))


def _retry_policy(timeout: float) -> core.RetryPolicy:
    """Return when to ask again, and whom.

    Envoy makes `max_interval` the timeout of a single try as well (`convertCoreToRouteRetryPolicy`): a worker that
    hangs, or whose socket waits for its successor, leaves time to ask another. A dead worker has the fewest requests
    under way, which is why the choice is repeated that often.
    """
    predicate = core.RetryPolicyRetryHostPredicate(
        name="envoy.retry_host_predicates.previous_hosts",
        typed_config=Any.pack(previous_hosts.PreviousHostsPredicate()),
    )
    return core.RetryPolicy(
        retry_on="connect-failure,refused-stream,reset,unavailable",
        num_retries=3,
        retry_back_off=core.BackoffStrategy(
            base_interval=timedelta(milliseconds=5), max_interval=timedelta(seconds=timeout * SHARE_OF_A_TRY)
        ),
        retry_host_predicate=[predicate],
        host_selection_retry_max_attempts=20,
    )


def _health_check() -> core.HealthCheck:
    every = timedelta(seconds=2)
    return core.HealthCheck(
        timeout=timedelta(seconds=1),
        interval=every,
        no_traffic_interval=every,
        unhealthy_threshold=2,
        healthy_threshold=1,
        grpc_health_check=core.HealthCheckGrpcHealthCheck(service_name="envoy.service.auth.v3.Authorization"),
    )


def _address(text: str, host: str) -> core.Address:
    if text.startswith(UNIX):
        return core.Address(pipe=core.Pipe(path=text.removeprefix(UNIX)))
    own, port = split_address(text) or ("", 0)
    if _is_ip(own) and ip_address(own).is_unspecified:
        own = "127.0.0.1"
    return socket_address(host or own, port)


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _transport_socket(settings: Settings, wishes: Wishes) -> core.TransportSocket | None:
    if settings.listen.tls is None:
        return None
    own, _ = split_address(settings.listen.grpc) or ("localhost", 0)
    files = wishes.tls or ClientTls(server_name=wishes.host or own)
    name = tls.SubjectAltNameMatcher(
        san_type=tls.SubjectAltNameMatcherSanType.DNS, matcher=matcher.StringMatcher(exact=files.server_name)
    )
    own_certificate = tls.TlsCertificate(certificate_chain=_file(files.certificate), private_key=_file(files.key))
    context = tls.UpstreamTlsContext(
        sni=files.server_name,
        common_tls_context=tls.CommonTlsContext(
            tls_params=tls.TlsParameters(tls_minimum_protocol_version=tls.TlsParametersTlsProtocol.TLSv1_2),
            tls_certificates=[own_certificate] if settings.listen.tls.client_ca else [],
            validation_context=tls.CertificateValidationContext(
                trusted_ca=_file(files.ca), match_typed_subject_alt_names=[name]
            ),
            alpn_protocols=["h2"],
        ),
    )
    return core.TransportSocket(name="envoy.transport_sockets.tls", typed_config=Any.pack(context))


def _file(path: str) -> core.DataSource:
    return core.DataSource(filename=path)
