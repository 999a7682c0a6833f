"""`ztag wire envoy`."""

from collections.abc import Callable

import yaml
from typer.testing import Result

from tests.cli.conftest import Site


def test_filter_and_cluster_are_printed(run: Callable[..., Result], site: Site) -> None:
    result = run("wire", "envoy", "--config", site.config)
    assert result.exit_code == 0
    assert set(yaml.safe_load(result.stdout)) == {"http_filters", "clusters"}


def test_a_whole_envoy_is_printed(run: Callable[..., Result], site: Site) -> None:
    result = run(
        "wire", "envoy", "--full", "--config", site.config, "--upstream", "shop.example:80", "--timeout", "0.5"
    )
    assert result.exit_code == 0
    assert "timeout: 0.500s" in result.stdout
    assert "static_resources" in yaml.safe_load(result.stdout)


def test_a_wrong_upstream_is_refused(run: Callable[..., Result], site: Site) -> None:
    result = run("wire", "envoy", "--full", "--config", site.config, "--upstream", "shop")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "--upstream: is no address (write host:port)\n"
