"""`ztag wire envoy`."""

from collections.abc import Callable

import pytest
import yaml
from typer.testing import Result

from tests.cli.conftest import Site

WARNING = "a policy reads the body, and Envoy would send none: add --body-bytes 8192\n"


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


@pytest.mark.parametrize(
    ("body", "options", "warning"),
    [
        ("input.parsed_body.total < 10", (), WARNING),
        ("contains(input.attributes.request.http.body, `x`)", (), WARNING),
        ("input.parsed_body.total < 10", ("--body-bytes", "8192"), ""),
        ("input.parsed_path == []", (), ""),
    ],
)
def test_a_policy_that_reads_a_body_nobody_sends_is_warned_of(
    run: Callable[..., Result], site: Site, body: str, options: tuple[str, ...], warning: str
) -> None:
    (site.folder / "body.rego").write_text(f"package envoy.authz\n\ndefault result := false\n\nresult if {body}\n")
    settings = yaml.safe_load((site.folder / "ztag.yaml").read_text())
    settings["authorization"][0]["policies"] = ["body.rego"]
    (site.folder / "ztag.yaml").write_text(yaml.safe_dump(settings))
    result = run("wire", "envoy", "--config", site.config, *options)
    assert result.exit_code == 0
    assert result.stderr == warning


def test_a_policy_of_a_profile_is_warned_of_as_well(run: Callable[..., Result], site: Site) -> None:
    (site.folder / "body.rego").write_text("package envoy.authz\n\nresult := input.parsed_body.open\n")
    settings = yaml.safe_load((site.folder / "ztag.yaml").read_text())
    policy = {"kind": "rego", "policies": ["body.rego"]}
    profiles = [{"name": "all", "when": {"paths": ["/*"]}, "policy": policy}]
    settings["authorization"] = [{"kind": "profiles", "profiles": profiles}]
    (site.folder / "ztag.yaml").write_text(yaml.safe_dump(settings))
    assert run("wire", "envoy", "--config", site.config).stderr == WARNING


def test_a_policy_that_cannot_be_loaded_keeps_nothing_from_being_printed(
    run: Callable[..., Result], site: Site
) -> None:
    (site.folder / "keys.json").unlink()
    assert run("wire", "envoy", "--config", site.config).exit_code == 0


def test_what_is_printed_says_who_is_not_asked_about_and_what_cannot_work(
    run: Callable[..., Result], site: Site
) -> None:
    result = run("wire", "istio", "--selector", "app=orders", "--timeout", "600", "--config", site.config)
    assert result.exit_code == 0, result.stderr
    assert "# Open to everybody, as nobody is asked about them: /healthz (--exclude)\n" in result.stdout
    assert "is loopback, which no Service reaches (listen on 0.0.0.0:" in result.stderr
    assert "--timeout: while ztag hangs, each request would wait 600 s (write 0.5)\n" in result.stderr
    assert "is loopback" in run("wire", "gateway", "--config", site.config).stderr


def test_an_upstream_without_full_is_said_to_mean_nothing(run: Callable[..., Result], site: Site) -> None:
    result = run("wire", "envoy", "--upstream", "shop:80", "--config", site.config)
    assert result.exit_code == 0
    assert result.stderr.startswith("--upstream: says nothing without --full\n")
