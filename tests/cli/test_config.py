"""`ztag config`."""

import json
from collections.abc import Callable

import pytest
import yaml
from typer.testing import Result

from tests.cli.conftest import Site
from ztag_extauthz.settings.reference import reference


@pytest.mark.parametrize("option", [["--config"], ["-c"], []])
def test_a_good_configuration_is_valid(run: Callable[..., Result], site: Site, option: list[str]) -> None:
    result = run("config", "validate", *option, site.config)
    assert (result.exit_code, result.stdout) == (0, f"{site.config}: valid\n")


def test_mistakes_are_told_a_line_each(run: Callable[..., Result], site: Site) -> None:
    with open(site.config, "a") as file:  # noqa: PTH123 - to append
        file.write("reportng: []\nserver: {workers: 0}\n")
    result = run("config", "validate", "--config", site.config)
    assert result.exit_code == 2
    assert result.stdout == ""
    told = result.stderr.splitlines()
    assert len(told) == 2
    assert told[0].endswith("reportng: unknown key (did you mean reporting?)")


def test_a_policy_with_a_syntax_error_names_file_and_line(run: Callable[..., Result], site: Site) -> None:
    policy = site.folder / "broken.rego"
    policy.write_text("package envoy.authz\n\nresult := := true\n")
    settings = yaml.safe_load((site.folder / "ztag.yaml").read_text())
    settings["authorization"][0]["policies"] = ["broken.rego"]
    (site.folder / "ztag.yaml").write_text(yaml.safe_dump(settings))
    result = run("config", "validate", "--config", site.config)
    assert result.exit_code == 2
    assert "broken.rego:3:" in result.stderr


def test_a_policy_that_loads_and_is_likely_wrong_is_warned_of(run: Callable[..., Result], site: Site) -> None:
    (site.folder / "rules").mkdir()
    (site.folder / "rules" / "shop.rego").write_text(
        'package envoy.authz\n\nresult := {"allow": input.user in data.owners}\n'
    )
    (site.folder / "rules" / "owners.yaml").write_text("owners: [ann]\n")
    settings = yaml.safe_load((site.folder / "ztag.yaml").read_text())
    settings["authorization"][0]["policies"] = ["rules"]
    (site.folder / "ztag.yaml").write_text(yaml.safe_dump(settings))
    result = run("config", "validate", "--config", site.config)
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "warning: rules/shop.rego:3: nothing reads `allow` of the decision (did you mean allowed?)",
        "warning: rules/shop.rego:3: the decision has no `allowed`: it is an error (add allowed: true or false)",
        "warning: rules/owners.yaml is not read: call it data.yaml, or rules/owners/data.yaml",
    ]


@pytest.mark.parametrize(
    ("rules", "warned"),
    [
        ('result := {"allowed": true, "headers": {"X-Usr": "a"}}', True),
        ('result.allowed := true\n\nresult.headers["x-usr"] := "a"', True),
        ('result := {"allowed": true, "headers": {"x-user": "a", "x-tenant": "b"}}', False),
        ('result := {"allowed": false, "headers": {"x-usr": "a"}}', False),
        ('result := {"allowed": true, "headers": headers}\n\nheaders := {"x-usr": "a"}', False),
    ],
)
def test_a_header_that_is_nearly_an_owned_one_is_warned_of(
    run: Callable[..., Result], site: Site, rules: str, *, warned: bool
) -> None:
    (site.folder / "shop.rego").write_text(f"package envoy.authz\n\n{rules}\n")
    settings = yaml.safe_load((site.folder / "ztag.yaml").read_text())
    settings["authorization"][0]["policies"] = ["shop.rego"]
    settings["response"] = {"owned_headers": ["x-user"]}
    (site.folder / "ztag.yaml").write_text(yaml.safe_dump(settings))
    result = run("config", "validate", "--config", site.config)
    assert result.exit_code == 0
    assert ("is not among response.owned_headers (did you mean x-user?)" in result.stderr) is warned


def test_a_missing_key_file_is_told(run: Callable[..., Result], site: Site) -> None:
    (site.folder / "keys.json").unlink()
    result = run("config", "validate", "--config", site.config)
    assert result.exit_code == 2
    assert "keys.json" in result.stderr


def test_insecure_choices_are_named(run: Callable[..., Result], site: Site) -> None:
    with open(site.config, "a") as file:  # noqa: PTH123 - to append
        file.write("listen: {insecure_plaintext: true}\n")
    result = run("config", "validate", "--config", site.config)
    assert result.exit_code == 0
    assert result.stderr == "insecure choice: listen.insecure_plaintext\n"


def test_a_missing_file_is_told(run: Callable[..., Result]) -> None:
    result = run("config", "show", "--config", "nowhere.yaml")
    assert result.exit_code == 2
    assert result.stderr == "nowhere.yaml: cannot be read: No such file or directory\n"


def test_show_prints_what_is_in_force(run: Callable[..., Result], site: Site) -> None:
    shown = yaml.safe_load(run("config", "show", "--config", site.config).stdout)
    assert shown["server"]["engine"] == "h2corn"
    assert shown["authentication"][0]["issuer"] == "https://issuer.example"


def test_show_says_where_it_came_from(run: Callable[..., Result], site: Site) -> None:
    lines = run("config", "show", "--origins", "--config", site.config).stdout.splitlines()
    assert any(line.startswith("authentication[0].issuer ") and line.endswith("ztag.yaml:3") for line in lines)
    assert any(line.startswith("server.workers ") and line.endswith("default") for line in lines)


def test_the_schema_is_json(run: Callable[..., Result]) -> None:
    assert json.loads(run("config", "schema").stdout)["title"] == "Settings"


def test_the_reference_is_printed(run: Callable[..., Result]) -> None:
    assert run("config", "reference").stdout == reference()


def test_validating_makes_no_file(run: Callable[..., Result], site: Site) -> None:
    settings = yaml.safe_load((site.folder / "ztag.yaml").read_text())
    settings["reporting"] = [{"kind": "audit", "to": "audit.log"}]
    (site.folder / "ztag.yaml").write_text(yaml.safe_dump(settings))
    before = sorted(site.folder.iterdir())
    assert run("config", "validate", "--config", site.config).exit_code == 0
    assert sorted(site.folder.iterdir()) == before


@pytest.mark.parametrize("command", [("config", "validate"), ("config", "show"), ("serve",)])
def test_two_configurations_at_once_are_refused(
    run: Callable[..., Result], site: Site, command: tuple[str, ...]
) -> None:
    result = run(*command, site.config, "--config", site.config)
    assert result.exit_code == 2
    assert "leave one of them out" in result.stderr
