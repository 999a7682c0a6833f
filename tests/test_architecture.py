"""Imports go one way, and foreign types stop where the design says."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "ztag_extauthz"
FILES = [path for path in sorted(ROOT.glob(f"{PACKAGE}/**/*.py")) if "_pb2" not in path.name]

STAGES = ("admission", "authentication", "authorization", "reporting")
LAYERS = {
    "__main__": 0,
    "cli": 1,
    "demo": 2,
    "wire": 3,
    "wiring": 3,
    "server": 3,
    "settings": 4,
    "pipeline": 4,
    "listeners": 4,
    "envoy": 4,
    "assertion": 4,
    **dict.fromkeys(STAGES, 5),
    "revocation": 5,
    "proto": 6,
    "rego": 6,
    "stores": 6,
    "traits": 7,
    "fetch": 7,
    "fields": 7,
    "identity_headers": 7,
    "protected_resource": 7,
    "structured": 7,
    "hosts": 7,
    "paths": 7,
    "section": 7,
    "component": 7,
    "again": 7,
    "background": 7,
    "meter": 7,
    "errors": 8,
    "model": 9,
}
"""A module imports what stands in its own layer or below; a stage no other stage."""

ALLOWED = {
    ("server", "wiring"),  # a worker builds its own gateway
    ("wiring", "server"),  # and the gateway holds the server's core
    ("settings", "assertion"),  # its section
    ("revocation", "authentication"),  # events are signed as tokens are
    ("pipeline", "listeners"),  # the last stage
    ("envoy", "assertion"),  # which the encoder adds
    ("envoy", "settings"),  # the encoder's own section
}


def imports(path: Path) -> Iterator[str]:
    """Yield the full names of the modules that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(path: Path) -> str:
    """Return the part of the package that a file belongs to: a folder, or the file itself."""
    return path.relative_to(ROOT / PACKAGE).parts[0].removesuffix(".py")


def parts_imported(path: Path) -> set[str]:
    own = [name.split(".") for name in imports(path) if name.startswith(f"{PACKAGE}.")]
    return {steps[1] for steps in own} & LAYERS.keys()


def test_every_part_has_a_layer() -> None:
    assert {part(path) for path in FILES} - {"__init__"} <= LAYERS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    own = part(path)
    if own == "__init__":
        return
    wrong = [
        other
        for other in parts_imported(path) - {own}
        if LAYERS[other] < LAYERS[own]
        or (LAYERS[other] == LAYERS[own] and own in STAGES)
        or (LAYERS[other] == LAYERS[own] and (own, other) not in ALLOWED and LAYERS[own] < 6)
    ]
    assert wrong == []


def test_the_rego_engine_stands_by_itself() -> None:
    wrong = {str(path): parts_imported(path) - {"rego"} for path in FILES if part(path) == "rego"}
    assert len(wrong) > 50
    assert not any(wrong.values()), wrong


REGO = ("builtins", "runtime", "syntax", "lower", "analysis", "compile", "engine")
"""A folder of the engine imports what stands before it."""


@pytest.mark.parametrize("folder", REGO[:-1])
def test_a_policy_goes_one_way_through_the_rego_engine(folder: str) -> None:
    later = tuple(f"{PACKAGE}.rego.{name}" for name in REGO[REGO.index(folder) + 1 :])
    files = [path for path in FILES if path.is_relative_to(ROOT / PACKAGE / "rego" / folder)]
    assert files
    assert [(path, name) for path in files for name in imports(path) if name.startswith(later)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_foreign_types_stop_where_they_come_in(path: Path) -> None:
    names = set(imports(path))
    if part(path) != "envoy":
        assert [name for name in names if name.startswith("envoy.")] == []
    if part(path) != "wire":
        assert [name for name in names if name.startswith("envoy_data_plane")] == []
    if part(path) not in {"cli", "demo"}:
        assert [name for name in names if name.split(".")[0] in {"typer", "rich"}] == []


HEAVY = {"grpc", "re2", "numba", "jwt", "cryptography", "h2corn", "envoy", "envoy_data_plane", "rich.console"}


@pytest.mark.parametrize(
    ("module", "unwanted"), [("ztag_extauthz.settings", HEAVY), ("ztag_extauthz.cli", HEAVY | {"pydantic", "yaml"})]
)
def test_heavy_imports_wait_until_they_are_needed(module: str, unwanted: set[str]) -> None:
    """`ztag --version` and `ztag config` don't pay for what serves requests."""
    program = f"import {module}, sys; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert set(result.stdout.split()) & unwanted == set()


def test_files_and_functions_stay_readable() -> None:
    lengths = {str(path.relative_to(ROOT / PACKAGE)): len(path.read_text().splitlines()) for path in FILES}
    long_files = {name for name, length in lengths.items() if length > 300}
    functions = [
        (str(path.relative_to(ROOT)), node.name, _lines(node))
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert long_files == set()
    assert [function for function in functions if function[2] > 40] == []


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function without its docstring."""
    docstring = node.body[0].end_lineno if ast.get_docstring(node) else None
    first = docstring if docstring is not None else node.lineno
    return int(node.end_lineno or 0) - first
