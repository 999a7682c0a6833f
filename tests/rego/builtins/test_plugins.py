"""Built-in functions that another package brings by an entry point."""

import subprocess
import sys
from pathlib import Path

import pytest

MODULE = """
from ztag_extauthz.rego.builtins.interface import OperandError, builtin, string

@builtin("acme.score", signature="(string) => number")
def score(text):
    if not string(text, 1):
        raise OperandError("operand 1 must not be empty")
    return len(text)

@builtin("acme.part", signature="(any, any) => any")
def part(whole, name):
    return whole[name]

@builtin("acme.dice", signature="() => number", pure=False)
def dice():
    return 4
"""
PROGRAM = """
import sys
try:
    from ztag_extauthz.rego.engine import compile_policy
    policy = compile_policy({"p.rego": "package p\\n\\nx := " + sys.argv[1]}, entry_points=["p/x"])
except Exception as error:
    print(error)
else:
    print(policy.decision("p/x").evaluate({"user": "ann"}), sorted(policy.reads("p/x").impure))
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Install a package of one module."""
    folder = tmp_path / "acme-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[ztag.rego.builtins]\nacme = acme_rego\n")
    (tmp_path / "acme_rego.py").write_text(MODULE)
    return tmp_path


def ask(site: Path, expression: str) -> str:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {[str(site), str(root)]!r}\n{PROGRAM}", expression]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def test_a_function_is_called(site: Path) -> None:
    assert ask(site, "acme.score(input.user)") == "3 []"


def test_its_error_is_undefined(site: Path) -> None:
    assert ask(site, 'acme.score("")') == "undefined []"


@pytest.mark.parametrize("arguments", ['{"a": 1}, "b"', "[1], 2", '1, "a"', '"abc", "b"'])
def test_an_error_of_python_s_is_undefined_too(site: Path, arguments: str) -> None:
    assert ask(site, f"acme.part({arguments})") == "undefined []"


def test_its_types_are_checked(site: Path) -> None:
    assert "rego_type_error: acme.score: invalid argument(s)" in ask(site, "acme.score(1)")


def test_its_arity_is_checked(site: Path) -> None:
    assert "function acme.score has arity 1, got 0 arguments" in ask(site, "acme.score()")


def test_what_is_impure_says_so(site: Path) -> None:
    assert ask(site, "acme.dice()") == "4 ['acme.dice']"


def test_opa_s_own_cannot_be_replaced(site: Path) -> None:
    (site / "acme_rego.py").write_text(MODULE.replace("acme.score", "upper"))
    assert ask(site, "1") == "built-in functions of acme (acme_rego): built-in upper is registered twice"


def test_a_module_that_is_not_there_is_named(site: Path) -> None:
    (site / "acme_rego.py").unlink()
    assert ask(site, "1") == "built-in functions of acme (acme_rego): No module named 'acme_rego'"
