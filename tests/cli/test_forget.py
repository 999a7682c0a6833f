"""`ztag forget`: on this node through its shared memory, over replicas through Redis."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

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
    path.write_text(CONFIG % "")
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
