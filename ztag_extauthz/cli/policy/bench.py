"""`ztag policy bench`: what a decision costs, by itself and beside OPA."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import NamedTemporaryFile
from time import monotonic, perf_counter
from typing import Annotated, Any

import typer

from ztag_extauthz.cli.policy.common import (
    SECONDS,
    DecisionOption,
    InputOption,
    JsonOption,
    PoliciesOption,
    console,
    load_decision,
    parse_input,
    telling_policy_mistakes,
)

ROUND_SECONDS = 0.05
BATCH_SECONDS = 0.0001


def bench(
    policies: PoliciesOption,
    decision: DecisionOption,
    input_: InputOption,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of 50 ms.")] = 9,
    opa: Annotated[Path | None, typer.Option(help="Also ask this opa binary, in the same run.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure one decision on one input: µs, the median of many short batches."""
    with telling_policy_mistakes():
        text = sys.stdin.read() if input_ == "-" else Path(input_).read_text(encoding="utf-8")
        costs = measure(policies, decision, text, rounds)
        if opa is not None:
            costs["opa"] = ask_opa(opa, policies, decision, text)
    if as_json or not sys.stdout.isatty():
        print(json.dumps({name: round(cost, 3) for name, cost in costs.items()}, indent=2))
    else:
        _show(costs)


def measure(policies: Sequence[str], decision: str, text: str, rounds: int) -> dict[str, float]:
    """Return µs for the load, for an evaluation, and for one with JSON in and out."""
    from ztag_extauthz.rego.builtins.interface import Context
    from ztag_extauthz.rego.documents import dumps
    from ztag_extauthz.rego.engine import UNDEFINED
    from ztag_extauthz.rego.pace import bounded

    document = parse_input(text)
    began = perf_counter()
    policy, point = load_decision(policies, decision)
    load = (perf_counter() - began) * 1e6
    ask = policy.decision(point).evaluate
    deadline = monotonic() + SECONDS
    first = ask(document, deadline=deadline)
    # What can be written in time once needs no clock while it is measured.
    with bounded(Context(deadline=deadline)):
        if first is not UNDEFINED:
            dumps(first)

    def in_and_out() -> None:
        value = ask(parse_input(text), deadline=monotonic() + SECONDS)
        if value is not UNDEFINED:
            dumps(value)

    return {
        "load": load,
        "decision": microseconds(lambda: ask(document, deadline=monotonic() + SECONDS), rounds),
        "decision with JSON in and out": microseconds(in_and_out, rounds),
    }


def microseconds(work: Callable[[], object], rounds: int = 9) -> float:
    """Return what one call costs: the median of many short batches, so that other processes' turns do not count."""
    loops = 1
    while _batch(work, loops) < BATCH_SECONDS:
        loops *= 2
    end = perf_counter() + rounds * ROUND_SECONDS
    costs = [_batch(work, loops)]
    while perf_counter() < end:
        costs.append(_batch(work, loops))
    return median(costs) / loops * 1e6


def _batch(work: Callable[[], object], loops: int) -> float:
    began = perf_counter()
    for _ in range(loops):
        work()
    return perf_counter() - began


def ask_opa(opa: Path, policies: Sequence[str], decision: str, text: str) -> float:
    """Return the median that `opa bench` gives for its evaluation, in µs; raises `ValueError`."""
    from ztag_extauthz.authorization.engines.interface import decision_path

    query = ".".join(("data", *decision_path(decision)))
    with NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        data = [part for path in policies for part in ("--data", path)]
        command = [str(opa), "bench", "--format", "json", "--input", file.name, *data, query]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the user named it
    if done.returncode:
        raise ValueError(f"{opa}: {done.stderr.strip() or done.stdout.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return float(found["Extra"]["histogram_timer_rego_query_eval_ns_median"]) / 1000


def _show(costs: dict[str, float]) -> None:
    from rich.table import Column, Table

    table = Table("what", Column("µs", justify="right"), Column("times ours", justify="right"))
    for name, cost in costs.items():
        table.add_row(name, f"{cost:,.1f}", f"{cost / costs['decision']:.1f}" if name == "opa" else "")
    console().print(table)
