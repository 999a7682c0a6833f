"""What a policy's decision costs, and its load, beside OPA in the same run.

    python -m loadtest.rego_bench [--opa PATH] [--rounds 20]

Decisions: medians of batches of about 0.1 ms, on one input each. "ours" has the input as values, as the server has it;
"JSON in and out" parses the input and writes the result, too. OPA's figure is the median of `opa bench` for its
evaluation, without parsing the input. Loads: the median of five, text to functions, in CPU time; OPA's is what
`opa eval --metrics` tells of loading, parsing and compiling.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from time import monotonic, process_time
from typing import Any

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from loadtest.opa import add_opa
from ztag_extauthz.cli.policy.bench import ask_opa, microseconds
from ztag_extauthz.cli.policy.common import sources
from ztag_extauthz.rego.documents import dumps, loads
from ztag_extauthz.rego.engine import Policy, compile_policy

POLICIES = Path(__file__).parent.parent / "policy"
USERS = 10_000
LOADS = 5
console = Console(width=None if sys.stdout.isatty() else 110)


class Case(Struct, frozen=True):
    """A policy, one input, and what the decision may cost."""

    name: str
    modules: Mapping[str, str]
    data: Any
    point: str
    document: Any
    bar: float
    """µs for a decision."""


class Load(Struct, frozen=True):
    """A policy, and what its load may cost."""

    name: str
    modules: Mapping[str, str]
    point: str
    bar: float
    """ms."""


class Row(Struct, frozen=True):
    name: str
    ours: float
    whole: float
    """With JSON in and out; 0 where there is none."""
    bar: float
    opa: float | None


def cases() -> Iterator[Case]:
    yield _example("RBAC, roles in data", "rbac", "rbac/allow", 15)
    abac = _example("ABAC, 10,000 users in data", "abac", "abac/allow", 6)
    users = {f"user-{number}": _user(number) for number in range(USERS)}
    data = {"abac": {**abac.data["abac"], "users": {**abac.data["abac"]["users"], **users}}}
    document = {"user": "user-7", "action": "read", "document": "budget", "mfa": True}
    yield Case(abac.name, abac.modules, data, abac.point, document, abac.bar)
    yield _example("Envoy, 31 routes", "routes", "routes/allow", 30)
    for count in (1_000, 10_000):
        text = indexed(count)
        yield Case(f"{count:,} rules, indexed", {"p.rego": text}, {}, "p/allow", {"path": f"/service/{count // 2}"}, 3)


def _example(name: str, folder: str, point: str, bar: float) -> Case:
    modules, data = sources([str(POLICIES)])
    own = {file: text for file, text in modules.items() if Path(file).parent.name == folder}
    document = loads((POLICIES / folder / "input.json").read_text())
    return Case(name, own, {folder: data[folder]} if folder in data else {}, point, document, bar)


def _user(number: int) -> dict[str, Any]:
    return {"department": ("finance", "legal", "sales")[number % 3 - 1], "level": number % 9, "clearance": 2}


def indexed(count: int) -> str:
    """Return a policy of so many rules, each for one path."""
    rules = "\n\n".join(f'allow if input.path == "/service/{number}"' for number in range(count))
    return f"package p\n\ndefault allow := false\n\n{rules}\n"


def loads_() -> Iterator[Load]:
    yield Load("500 lines of the example policies", many_lines(500), "rbac_0/allow", 50)
    yield Load("10,000 rules", {"p.rego": indexed(10_000)}, "p/allow", 3_000)


def many_lines(count: int) -> dict[str, str]:
    """Return the example policies again and again, each time as other packages, until they have so many lines."""
    modules, _ = sources([str(POLICIES)])
    made: dict[str, str] = {}
    lines, turn = 0, 0
    while lines < count:
        for file, text in modules.items():
            if lines < count:
                made[f"{turn}/{file}"] = re.sub(r"^(package [a-z.]+)$", rf"\1_{turn}", text, flags=re.MULTILINE)
                lines += text.count("\n")
        turn += 1
    return made


def decide(case: Case, rounds: int, opa: Path | None) -> Row:
    policy = compile_policy(case.modules, case.data, entry_points=[case.point])
    ask = policy.decision(case.point).evaluate
    text = dumps(case.document)
    if ask(case.document) is not True:
        raise ValueError(f"{case.name}: the input should be allowed")
    ours = microseconds(lambda: ask(case.document, deadline=monotonic() + 1), rounds)
    whole = microseconds(lambda: dumps(ask(loads(text), deadline=monotonic() + 1)), rounds)
    theirs = _with_files(case.modules, case.data, lambda paths: ask_opa(opa, paths, case.point, text)) if opa else None
    return Row(case.name, ours, whole, case.bar, theirs)


def load(case: Load, opa: Path | None) -> Row:
    def ours() -> float:
        began = process_time()
        _compile_all(case)
        return (process_time() - began) * 1e3

    theirs = None
    if opa is not None:
        binary = opa
        theirs = median(_with_files(case.modules, {}, lambda paths: _opa_load(binary, paths)) for _ in range(LOADS))
    return Row(case.name, median(ours() for _ in range(LOADS)), 0.0, case.bar, theirs)


def _compile_all(case: Load) -> Policy:
    """Compile every package, not only what one decision needs."""
    packages = {re.findall(r"^package (\S+)$", text, re.MULTILINE)[0] for text in case.modules.values()}
    return compile_policy(case.modules, entry_points=[package.replace(".", "/") for package in packages])


def _with_files(modules: Mapping[str, str], data: Any, ask: Callable[[list[str]], float]) -> float:
    """Ask about files that go away afterwards."""
    with tempfile.TemporaryDirectory() as name:
        paths = []
        for number, text in enumerate(modules.values()):
            paths.append(f"{name}/{number}.rego")
            Path(paths[-1]).write_text(text)
        Path(f"{name}/data.json").write_text(dumps(data))
        return ask([*paths, f"{name}/data.json"])


def _opa_load(opa: Path, paths: list[str]) -> float:
    """Return the ms that OPA loads, parses and compiles."""
    command = [
        str(opa),
        "eval",
        "--metrics",
        "--format",
        "json",
        *(part for path in paths for part in ("-d", path)),
        "1",
    ]
    metrics = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["metrics"]
    names = ("timer_rego_load_files_ns", "timer_rego_module_parse_ns", "timer_rego_module_compile_ns")
    return float(sum(metrics.get(name, 0) for name in names)) / 1e6


def show(title: str, unit: str, rows: list[Row]) -> None:
    table = Table(title=title)
    for column in ("", f"ours, {unit}", "bar", "JSON in and out", f"opa, {unit}", "opa / ours"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for row in rows:
        colour = "green" if row.ours <= row.bar else "red"
        opa = (f"{row.opa:,.1f}", f"{row.opa / row.ours:,.1f}") if row.opa is not None else ("", "")
        whole = f"{row.whole:,.1f}" if row.whole else ""
        table.add_row(row.name, f"[{colour}]{row.ours:,.1f}[/]", f"{row.bar:,.0f}", whole, *opa)
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_opa(parser, required=False)
    parser.add_argument("--rounds", type=int, default=20, help="of 50 ms")
    arguments = parser.parse_args()
    opa = arguments.opa
    if opa is None:
        console.print("no opa here: name one by --opa or OPA to compare with it")
    show("One decision", "µs", [decide(case, arguments.rounds, opa) for case in cases()])
    show("One load", "ms", [load(case, opa) for case in loads_()])


if __name__ == "__main__":
    main()
