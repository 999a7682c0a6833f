"""Large arguments, which an input can bring: a call ends by itself, by a limit, or by the deadline."""

from contextlib import suppress
from time import perf_counter
from typing import Any

import pytest

from ztag_extauthz.rego.builtins.catalogue import REGISTRY
from ztag_extauthz.rego.builtins.interface import Context
from ztag_extauthz.rego.engine import compile_policy
from ztag_extauthz.rego.errors import BuiltinError, LimitError

MEGABYTE = 1_000_000
CHAIN = {str(place): [str(place + 1)] for place in range(20_000)}
DOUBLING = [{"op": "copy", "from": "", "path": "/b"}, {"op": "copy", "from": "/b", "path": "/c"}] * 40
FORMATS = ["%d" * 400_000, "%[" * 400_000, "%1d" * 300_000, "%[9" * 300_000, "%.*d" * 200_000]


def _call(name: str, *arguments: Any) -> Any:
    known = REGISTRY[name]
    own = [Context(deadline=perf_counter() + 0.1)] if known.context else []
    return known.function(*own, *arguments)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        (
            "json.patch",
            ({str(place): 1 for place in range(50_000)}, [{"op": "add", "path": "/a", "value": 1}] * 50_000),
        ),
        ("json.patch", ({"a": [1]}, DOUBLING)),
        ("graph.reachable_paths", (CHAIN, ["0"])),
        ("regex.match", ("a{1,1000}" * 50, "a" * MEGABYTE)),
        ("regex.split", ("a{1,1000}" * 50, "a" * MEGABYTE)),
        ("regex.find_n", ("(?:a.*b|a)", "a" * MEGABYTE, -1)),
        ("regex.split", ("(?:a.*b|a)", "a" * MEGABYTE)),
        ("regex.replace", ("a" * MEGABYTE, "(?:a.*b|a)", "x")),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 40 else "",
)
def test_what_would_take_long_is_stopped(name: str, arguments: tuple[Any, ...]) -> None:
    begun = perf_counter()
    with pytest.raises(LimitError):
        _call(name, *arguments)
    assert perf_counter() - begun < 5  # a tenth of a second on two cores


@pytest.mark.parametrize(
    "template", ["%d" * 400_000, "%[" * 400_000, "%1d" * 300_000, "%[9" * 300_000, "%.*d" * 200_000]
)
def test_formats_take_linear_time(template: str) -> None:
    begun = perf_counter()
    with suppress(BuiltinError, LimitError):
        _call("sprintf", template, [1])
    assert perf_counter() - begun < 10


def test_rules_that_hold_one_another_twice_load() -> None:
    chain = "\n".join(f"a{place + 1} := [a{place}, a{place}]" for place in range(60))
    policy = compile_policy({"p.rego": f"package p\na0 := [input.x]\n{chain}\nq := count(a60)"}, entry_points=["p/q"])
    assert policy.decision("p/q").evaluate({"x": 1}) == 2
    chain = "\n".join(f'a{place + 1} := {{"l": a{place}, "r": a{place}}}' for place in range(60))
    policy = compile_policy({"p.rego": f"package p\na0 := [input.x]\n{chain}\nq := count(a60)"}, entry_points=["p/q"])
    assert policy.decision("p/q").evaluate({"x": 1}) == 2
