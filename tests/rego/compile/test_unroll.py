"""A loop over a small table that is written out gives what the loop gives."""

import pytest

from ztag_extauthz.rego.compile.unroll import MAX_ROWS
from ztag_extauthz.rego.engine import Policy, compile_policy
from ztag_extauthz.rego.values import UNDEFINED

INPUTS = [{"m": "GET", "path": "/a/7"}, {"m": "PUT", "path": "/a/70"}, {"m": "GET", "path": "/b"}, {"m": 1}, {}]
RULES = """
found contains route.name if { some route in table; input.m in route.methods; startswith(input.path, route.begin) }
names[i] := route.name if { some i, route in table; route.begin == input.path }
first := i if { some i, route in table; startswith(route.begin, "/a/70"); input.m }
p := {"found": found, "names": names, "first": first}
"""


def _policy(rows: int, last: str = "") -> Policy:
    routes = [f'{{"name": "n{i}", "begin": "/a/{i}", "methods": ["GET", "M{i}"]}}' for i in range(rows)]
    return compile_policy(
        {"t.rego": f"package t\n\ntable := [{', '.join(routes)}{last}]\n{RULES}"}, entry_points=["t/p"]
    )


@pytest.mark.parametrize("document", INPUTS)
def test_a_table_written_out_gives_what_the_loop_gives(document: dict[str, object]) -> None:
    """A row that is no constant keeps the table from being written out."""
    looped = _policy(20, ", input.none.at.all").decision("t/p")
    assert looped.evaluate(document) is UNDEFINED
    unconstant = ', {"name": "other", "begin": object.get(input, "other", "-"), "methods": []}'
    expected = _policy(20, unconstant).decision("t/p").evaluate(document)
    assert _policy(20).decision("t/p").evaluate(document) == expected


def test_only_small_tables_are_written_out() -> None:
    small, large = (_policy(rows).source() for rows in (MAX_ROWS, MAX_ROWS + 1))
    assert small.count("data.t.found t.rego") == MAX_ROWS
    assert large.count("data.t.found t.rego") == 1


def test_what_with_may_replace_is_no_constant() -> None:
    module = "package t\n\ntable := [1, 2]\nq contains x if some x in table\np := y if y := q with data.t.table as [3]"
    assert compile_policy({"t.rego": module}, entry_points=["t/p"]).decision("t/p").evaluate({}) == frozenset([3])
