"""`ztag wire check`: every pitfall is found and its remedy named; what is right is left alone."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tests.wire.right import MESH, POLICY, RIGHT
from tests.wire.wrong import WRONG
from ztag_extauthz.cli import wire
from ztag_extauthz.errors import SettingsError
from ztag_extauthz.wire.check import findings
from ztag_extauthz.wire.pitfalls import Level


def written(folder: Path, documents: list[dict[str, Any]]) -> Path:
    file = folder / "objects.yaml"
    file.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    return file


@pytest.mark.parametrize("documents", RIGHT.values(), ids=RIGHT.keys())
def test_nothing_is_said_of_what_is_right(documents: list[dict[str, Any]], tmp_path: Path) -> None:
    assert findings([written(tmp_path, documents)]) == ()


@pytest.mark.parametrize(("documents", "level", "remedy"), WRONG.values(), ids=WRONG.keys())
def test_a_pitfall_is_found_and_its_remedy_named(
    documents: list[dict[str, Any]], level: Level, remedy: str, tmp_path: Path
) -> None:
    found = [finding for finding in findings([written(tmp_path, documents)]) if remedy in str(finding)]
    assert [finding.level for finding in found] == [level]
    assert all(finding.mistake.remedy for finding in found)


def test_files_are_read_together(tmp_path: Path) -> None:
    apart = [tmp_path / "mesh.yaml", tmp_path / "policy.yaml"]
    for file, document in zip(apart, (MESH, POLICY), strict=True):
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert findings(apart) == ()
    assert findings(apart[1:]) != ()


def test_what_is_no_yaml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("a: [", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"broken\.yaml"):
        findings([file, tmp_path / "absent.yaml"])


@pytest.mark.parametrize(("documents", "options", "code"), [
    (RIGHT["istio"], [], 0),
    (WRONG["fail open"][0], [], 0),
    (WRONG["fail open"][0], ["--strict"], 1),
    (WRONG["unset timeout"][0], [], 1),
])  # fmt: skip
def test_the_exit_code_is_honest(
    documents: list[dict[str, Any]], options: list[str], code: int, tmp_path: Path
) -> None:
    result = CliRunner().invoke(wire.app, ["check", *options, str(written(tmp_path, documents))])
    assert result.exit_code == code, result.output
    assert (result.output == "ok\n") is (documents is RIGHT["istio"])


def test_the_commands_print_what_the_check_accepts(tmp_path: Path) -> None:
    config = tmp_path / "ztag.yaml"
    config.write_text(
        "listen: {grpc: '0.0.0.0:9191', insecure_plaintext: true}\n"
        "authentication: [{kind: anonymous}]\n"
        "authorization: [{kind: rego, policies: [policy]}]\n",
        encoding="utf-8",
    )
    (tmp_path / "policy").mkdir()
    for arguments in (["istio", "-n", "shop", "--peer-certificate"], ["istio", "--ambient"], ["gateway", "-n", "edge"]):
        result = CliRunner().invoke(wire.app, [*arguments, "--config", str(config)])
        assert result.exit_code == 0, result.output
        printed = result.output.replace("#   ", "")  # MeshConfig is printed as a comment
        parts = ["---\n" + printed] if arguments[0] == "istio" else [printed]
        (tmp_path / "printed.yaml").write_text("".join(parts), encoding="utf-8")
        assert findings([tmp_path / "printed.yaml"]) == ()
