"""`ztag forget`: on this node through its shared memory, over replicas through Redis."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.server.process import Ztag, serving, until
from tests.stores.conftest import redis_server
from ztag_extauthz.cli import app

CONFIG = """
authentication: [{kind: anonymous}]
authorization: [{kind: rego, policies: [policy.rego]%s}]
"""


def forget(config: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["forget", *arguments, "--config", str(config)])
    return result.exit_code, result.output


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "ztag.yaml"
    path.write_text(CONFIG % ", cache: null")
    return path


def test_where_nothing_is_remembered_it_says_so(config: Path) -> None:
    code, output = forget(config, "all")
    assert code == 2
    assert "no policy has a cache" in output


@pytest.mark.parametrize("place", ["shop.example", "/orders", "https://shop.example/orders", "shop.example/orders?a=1"])
def test_a_resource_that_no_answer_can_be_about_is_refused(config: Path, place: str) -> None:
    code, output = forget(config, "resource", place)
    assert code == 2
    assert "no scheme, no query" in output


@pytest.mark.e2e
@pytest.mark.parametrize("shared", [(), ("redis",)])
def test_what_is_forgotten_is_made_anew_in_a_server_that_runs(tmp_path: Path, shared: tuple[str, ...]) -> None:
    policy = '{"allowed": true, "headers": {"x-path": input.attributes.request.http.path}}'
    (tmp_path / "policy.rego").write_text(f"package envoy.authz\nimport rego.v1\nresult := {policy}\n")
    with redis_server(tmp_path / "redis") as (port, _):
        cache = {name: {"url": f"redis://127.0.0.1:{port}", "secret": "s" * 32} for name in shared}
        rego = {"kind": "rego", "policies": ["policy.rego"], "cache": cache}
        with serving(tmp_path, authorization=[rego], server={"workers": 1}) as ztag:
            asked_anew(ztag)
            config = tmp_path / "ztag.yaml"
            assert asked_anew(ztag) == 0
            for arguments in (("resource", "example.com/orders"), ("all",)):
                assert forget(config, *arguments)[0] == 0
                until(lambda: asked_anew(ztag) > 0)
            assert forget(config, "resource", "example.com/other")[0] == 0
            until(lambda: ztag.metric('ztag_cache_invalidations_total{kind="resource"}') == 2)
            until(lambda: asked_anew(ztag) == 0)


def asked_anew(ztag: Ztag) -> float:
    """Ask for something; return how often the policy was asked for it."""
    before = ztag.metric('ztag_cache_lookups_total{result="miss"}')
    ztag.check("/orders?page=2")
    return ztag.metric('ztag_cache_lookups_total{result="miss"}') - before
