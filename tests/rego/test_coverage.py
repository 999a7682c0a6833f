"""Lines that evaluations reach."""

from ztag_extauthz.rego.coverage import Coverage, FileCoverage

MODULE = """package p

default a := false

a if {
	input.x
	not input.y
	input.z == 1
}

b := [n |
	some n in input.ns
	n > 1
]

c if every n in input.ns {
	n > 0
	n < 3
}

d contains 1 if input.x

e.f := 1

g(x) := x if {
	x > 1
} else := 0

h := g(input.n)

i if input.j with input as {"j": input.x}
"""


def lines(*asked: tuple[str, object]) -> FileCoverage:
    coverage = Coverage({"p.rego": MODULE}, {}, [point for point, _ in asked])
    for point, document in asked:
        coverage.evaluate(point, document)
    return coverage.files()["p.rego"]


def test_nothing_is_covered_at_first() -> None:
    coverage = Coverage({"p.rego": MODULE}, {}, ["p/a"]).files()["p.rego"]
    assert coverage.covered == ()
    assert coverage.percent == 0
    assert coverage.missed == (5, 6, 7, 8, 11, 12, 13, 16, 17, 18, 21, 23, 25, 26, 27, 29, 31)


def test_an_expression_counts_once_it_was_evaluated_a_head_once_it_gave() -> None:
    assert lines(("p/a", {"x": True})).covered == (6, 7, 8)
    assert lines(("p/a", {"x": True, "z": 1})).covered == (5, 6, 7, 8)


def test_what_failed_before_keeps_the_rest_out() -> None:
    assert lines(("p/a", {})).covered == (6,)


def test_bodies_within_bodies_count() -> None:
    assert lines(("p/b", {"ns": []})).covered == (11, 12)
    assert lines(("p/b", {"ns": [2]})).covered == (11, 12, 13)
    assert lines(("p/c", {"ns": [0]})).covered == (16, 17)
    assert lines(("p/c", {"ns": [1]})).covered == (16, 17, 18)


def test_sets_heads_and_functions_count() -> None:
    assert lines(("p/d", {"x": True})).covered == (21,)
    assert lines(("p/e", {})).covered == (23,)
    assert lines(("p/h", {"n": 1})).covered == (26, 27, 29)
    assert lines(("p/h", {"n": 2})).covered == (25, 26, 29)
    assert lines(("p/i", {"x": True})).covered == (31,)


def test_evaluations_add_up() -> None:
    assert lines(("p/a", {}), ("p/d", {"x": True})).covered == (6, 21)


def test_a_module_without_rules_is_covered() -> None:
    assert Coverage({"p.rego": "package p\n"}, {}, []).files()["p.rego"].percent == 100
