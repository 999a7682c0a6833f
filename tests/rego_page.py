"""The parts of docs/rego.md that are made of the code. `python -m tests.rego_page` writes them."""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from typer.testing import CliRunner

from ztag_extauthz.authorization.bundle import documents, files
from ztag_extauthz.cli import app
from ztag_extauthz.rego.builtins import interface, numbers
from ztag_extauthz.rego.builtins.catalogue import REGISTRY
from ztag_extauthz.rego.builtins.globs import matcher
from ztag_extauthz.rego.builtins.signatures import DEPRECATED, SIGNATURES
from ztag_extauthz.rego.engine import compile_policy
from ztag_extauthz.rego.errors import Mistake, PolicyError
from ztag_extauthz.rego.explain import MAX_EVENTS
from ztag_extauthz.rego.lower.names import split_arguments
from ztag_extauthz.rego.pace import CHECK_EVERY
from ztag_extauthz.rego.syntax import terms

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs/rego.md"
MISTAKES: Final = """package shop

allow if {
	input.action == "read"
	user in staff
}

allow if startswith(input.path)

allow if opa.runtime().env.STAGE == "test"

staff := {"ann", "bob"}
"""
COMMANDS: Final = {
    "check": ("cat shop.rego", "ztag policy check shop.rego"),
    "test": ("ztag policy test policy/envoy policy/claims policy/tiers --coverage",),
    "explain": ("ztag policy eval --policies policy --decision rbac/allow --input policy/rbac/input.json --explain",),
    "reads": ("ztag policy reads policy --decision rbac/allow --decision hours/allow",),
    "compile": ("ztag policy compile policy/tiers --decision tiers/cost",),
    "fmt-check": ("ztag policy fmt-check unformatted.rego",),
}
FILES: Final = {"shop.rego": MISTAKES, "unformatted.rego": "package p\n\nx  := [1,2]\n"}
REFUSED: Final = (
    ("Rego v0", "package p\n\nallow { input.x }"),
    ("`import future.keywords.not`", "package p\n\nimport future.keywords.not"),
    ("`print` under `not`", "package p\n\nx if not print(input.x)"),
    ("an array of a set's members that are variables", "package p\n\nx := [y | some y in {input.a, input.b}]"),
    ("a body of nothing but `not true`", "package p\n\nx := input.y if not true"),
    ("nesting", f"package p\n\nx := {'[' * 200}{']' * 200}"),
)
LIMITS: Final = (
    ("a policy file", f"{documents.MAX_REGO_BYTES // 2**20} MiB"),
    ("a data file", f"{files.MAX_FILE_BYTES // 2**20} MiB"),
    ("nesting of terms in a policy", f"{terms.MAX_DEPTH} levels"),
    ("nesting of YAML data", f"{documents.MAX_DEPTH} levels"),
    ("what a built-in makes: characters, elements", f"{interface.MAX_SIZE:,}"),
    ("a number", f"{numbers.MAX_DIGITS:,} digits"),
    ("a glob's pattern", f"{matcher.MAX_LENGTH:,} characters"),
    ("an evaluation without a deadline of its own", f"{interface.DEFAULT_SECONDS:.0f} s"),
    ("elements visited between two looks at the clock", f"{CHECK_EVERY:,}"),
    ("events of an explanation", f"{MAX_EVENTS:,}"),
)
_TIME: Final = re.compile(r"\d+(\.\d+)? (ms|µs)")


def refused_builtins() -> list[str]:
    """Ask the engine itself: those of OPA's built-ins that a policy cannot call."""
    return [name for name in sorted(SIGNATURES) if name not in DEPRECATED and _is_refused(name)]


def _is_refused(name: str) -> bool:
    arguments = ", ".join(["input"] * len(split_arguments(SIGNATURES[name])))
    found = mistakes(f"package p\n\nx if {name}({arguments})")
    return any(mistake.code == "rego_unsupported_error" for mistake in found)


def mistakes(text: str) -> Sequence[Mistake]:
    """Return what is wrong with a module."""
    try:
        compile_policy({"p.rego": text})
    except PolicyError as error:
        return error.mistakes
    return []


def sections() -> dict[str, str]:
    """Return the text of each part by its name."""
    shown = {name: block(commands) for name, commands in COMMANDS.items()}
    names = ", ".join(f"`{name}`" for name in refused_builtins())
    supported = f"{len(REGISTRY.keys() & SIGNATURES.keys())} built-in functions are there. Refused at load:\n\n{names}"
    rows = [f"| {what} | {found.message} | {found.remedy} |" for what, found in _refused_syntax()]
    syntax = "\n".join(["| what | OPA's or our words | remedy |", "|---|---|---|", *rows])
    limits = "\n".join(["| what | limit |", "|---|---|", *(f"| {what} | {limit} |" for what, limit in LIMITS)])
    return {**shown, "built-ins": supported, "syntax": syntax, "limits": limits}


def _refused_syntax() -> Iterator[tuple[str, Mistake]]:
    for what, text in REFUSED:
        yield what, mistakes(text)[0]


def block(commands: Sequence[str]) -> str:
    """Run commands where the examples stand; return what a reader would see."""
    with _examples_folder():
        shown = "".join(f"$ {command}\n{_output(command)}" for command in commands)
    return f"```console\n{shown}```"


def _output(command: str) -> str:
    program, *arguments = command.split()
    if program != "ztag":
        return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout  # noqa: S602
    return re.sub(r" +$", "", CliRunner().invoke(app, arguments).output, flags=re.MULTILINE)


@contextmanager
def _examples_folder() -> Iterator[None]:
    """Go to a folder with the example policies and some files in it."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as name:
        Path(name, "policy").symlink_to(ROOT / "policy")
        for file, text in FILES.items():
            Path(name, file).write_text(text)
        os.chdir(name)
        try:
            yield
        finally:
            os.chdir(before)


def timeless(text: str) -> str:
    """Leave out what differs from run to run."""
    return _TIME.sub("0 µs", text)


def rewritten(page: str, made: dict[str, str]) -> str:
    """Put the parts where the page has them; one that differs in its times alone stays as it is."""

    def part(match: re.Match[str]) -> str:
        begin, name, old, end = match.groups()
        return match[0] if timeless(old) == timeless(made[name]) else f"{begin}\n{made[name]}\n{end}"

    return re.sub(r"(<!-- ([a-z-]+): begin -->)\n(.*?)\n(<!-- \2: end -->)", part, page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(), sections()))
