"""What a real Envoy does when ztag is slow, down, cannot tell or says no: the table of docs/platform.md, row by row."""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml
from msgspec import Struct

from k8s.verify import cases, rendering
from tests.k8s.parts import LOOPBACK, TYPES, Document, address, cluster, listener
from ztag_extauthz.demo.client import Ask, Reply, send
from ztag_extauthz.demo.processes import Envoy, Ztag, fetch, folder_for, free_ports
from ztag_extauthz.demo.upstream import Echo, LocalServer

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("failures")]
PAGE = Path(__file__).parents[2] / "docs" / "platform.md"
POLICY = """
package edge.authz

import rego.v1

result := {"allowed": true} if input.parsed_path[0] in {"allowed", "body"}

result := {"allowed": false} if input.parsed_path[0] == "denied"

result := {"allowed": false, "http_status": 503} if input.parsed_path[0] == "denied-503"

result := {"allowed": input.truncated_body == false, "http_status": 413} if input.parsed_path[0] == "whole-body"
"""
LIMIT = 64
SMALL, LARGE = b"x" * LIMIT, b"x" * (LIMIT + 1)
MARK = "x-envoy-auth-failure-mode-allowed"


class Row(Struct, frozen=True):
    """One line of the table: what happens, how it is brought about, and the answers with fail-open off and on."""

    what: str
    wiring: str
    ask: Ask
    closed: int
    opened: int


ROWS = (
    Row("allow", "ztag", Ask(path="/allowed"), 200, 200),
    Row("deny", "ztag", Ask(path="/denied"), 403, 403),
    Row("deny with a 5xx status of the policy's own", "ztag", Ask(path="/denied-503"), 503, 503),
    Row("the policy is undefined or fails (gRPC error)", "ztag", Ask(path="/undefined"), 502, 200),
    Row("ztag does not answer in time", "silent", Ask(path="/denied"), 502, 200),
    Row("ztag cannot be reached (connection refused)", "refused", Ask(path="/denied"), 502, 200),
    Row(
        "body over the limit, partial ones sent: the policy sees `truncated_body`",
        "ztag, partial body",
        Ask(method="POST", path="/whole-body", body=LARGE),
        413,
        413,
    ),
    Row(
        "body over the limit, partial ones not sent: Envoy does not ask",
        "ztag, whole body",
        Ask(method="POST", path="/body", body=LARGE),
        413,
        413,
    ),
    Row("body within the limit", "ztag, whole body", Ask(method="POST", path="/body", body=SMALL), 200, 200),
)
"""`status_on_error` is 502 here, so that it can be told from every other answer."""
WIRINGS = {"ztag": None, "silent": None, "refused": None, "ztag, partial body": True, "ztag, whole body": False}
"""Each with whether a part of a body that is too large is sent; None: no body is."""


class Edges(Struct, frozen=True):
    ports: dict[tuple[str, bool], int]
    envoy: Envoy

    def send(self, row: Row, *, opened: bool) -> Reply:
        return send((LOOPBACK, self.ports[row.wiring, opened]), row.ask)


def ext_authz(name: str, *, partial: bool | None, opened: bool) -> Document:
    config: Document = {
        "@type": f"{TYPES}.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "grpc_service": {"envoy_grpc": {"cluster_name": name}, "timeout": "2s" if name == "ztag" else "0.2s"},
        "status_on_error": {"code": 502},
        "failure_mode_allow": opened,
        "failure_mode_allow_header_add": opened,
    }
    if partial is not None:
        config["with_request_body"] = {"max_request_bytes": LIMIT, "allow_partial_message": partial}
    return {"name": "envoy.filters.http.ext_authz", "typed_config": config}


def http2(name: str, port: int) -> Document:
    options = {
        "@type": f"{TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    extension = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}
    return {**cluster(name, port), "typed_extension_protocol_options": extension}


@contextmanager
def silent() -> Iterator[int]:
    """Yield a port that takes connections and says nothing."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def ztag_on(folder: Path, grpc: int, admin: int) -> Ztag:
    (folder / "edge.rego").write_text(POLICY, encoding="utf-8")
    settings = {
        "listen": {"grpc": f"{LOOPBACK}:{grpc}", "admin": f"{LOOPBACK}:{admin}"},
        "authentication": [{"kind": "anonymous"}],
        "authorization": [{"kind": "rego", "policies": ["edge.rego"], "decision": "edge/authz/result"}],
    }
    config = folder / "ztag.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return Ztag(config, folder)


@pytest.fixture(scope="module")
def edges() -> Iterator[Edges]:
    with ExitStack() as parts:
        folder = parts.enter_context(folder_for("failures"))
        quiet = parts.enter_context(silent())
        upstream = LocalServer(Echo)
        parts.callback(upstream.stop)
        grpc, ztag_admin, refused, admin, *free = free_ports(4 + 2 * len(WIRINGS))
        parts.callback(ztag_on(folder, grpc, ztag_admin).stop)
        ports = dict(zip([(name, opened) for name in WIRINGS for opened in (False, True)], free, strict=True))
        listeners = []
        for (name, opened), port in ports.items():
            asked = ext_authz(name.partition(",")[0], partial=WIRINGS[name], opened=opened)
            listeners.append({**listener(port, [asked]), "name": f"{name} {opened}"})
        clusters = [http2("ztag", grpc), http2("silent", quiet), http2("refused", refused)]
        document = {
            "admin": {"address": address(LOOPBACK, admin)},
            "static_resources": {
                "listeners": listeners,
                "clusters": [*clusters, cluster("upstream", upstream.address[1])],
            },
        }
        envoy = Envoy(document, (LOOPBACK, admin), folder)
        parts.callback(envoy.stop)
        yield Edges(ports, envoy)


@pytest.mark.parametrize("opened", [False, True], ids=["fail closed", "fail open"])
@pytest.mark.parametrize("row", ROWS, ids=[row.what for row in ROWS])
def test_a_row_of_the_table(edges: Edges, row: Row, *, opened: bool) -> None:
    reply = edges.send(row, opened=opened)
    assert reply.status == (row.opened if opened else row.closed)
    passed_unasked = opened and row.closed != row.opened
    assert reply.seen_header(MARK) == (["true"] if passed_unasked else [])


def test_requests_that_pass_unasked_are_counted(edges: Edges) -> None:
    name = "http.inbound.ext_authz.failure_mode_allowed"
    row = next(row for row in ROWS if row.wiring == "refused")
    before = edges.envoy.stats(name).get(name, 0)
    edges.send(row, opened=True)
    assert edges.envoy.stats(name)[name] == before + 1


def test_the_alert_asks_for_counters_that_envoy_has(edges: Edges) -> None:
    edges.send(next(row for row in ROWS if row.wiring == "refused"), opened=True)
    shown = fetch(edges.envoy.admin, "/stats/prometheus")[1].decode()
    rules = rendering.named(rendering.render(cases.RIGHT["everything"]), "PrometheusRule", "ztag")
    names = set(re.findall(r"envoy_\w+", yaml.safe_dump(rules)))
    assert len(names) == 2
    assert [name for name in sorted(names) if f"\n{name}{{" not in shown] == []


def test_the_page_has_the_rows() -> None:
    def answer(status: int) -> str:
        return {200: "request goes on", 502: "`statusOnError`"}.get(status, f"{status}")

    page = PAGE.read_text(encoding="utf-8")
    for row in ROWS:
        opened = "**request goes on, unasked**" if row.opened != row.closed else answer(row.opened)
        assert f"| {row.what} | {answer(row.closed)} | {opened} |" in page
