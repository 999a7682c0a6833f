from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.rego.engine import PolicyError
from ztag_extauthz.rego.syntax.lexer import Lexer
from ztag_extauthz.rego.syntax.modules import parse_module, parse_query
from ztag_extauthz.rego.syntax.nodes import Call, Comprehension, Object, Ref, Scalar, Set

HEAD = "package t\n"

WRONG = [
    ("", (1, 1), "empty module"),
    ("x := 1", (1, 1), "package expected"),
    (HEAD + "p {\n\tinput.x\n}", (2, 1), "`if` keyword is required before rule body"),
    (HEAD + "p[x] { x := 1 }", (2, 1), "`contains` keyword is required for partial set rules"),
    (HEAD + 'p["a"]', (2, 1), "`contains` keyword is required for partial set rules"),
    (HEAD + "p", (2, 1), "var cannot be used for rule name"),
    (HEAD + 'p := "abc', (2, 6), "non-terminated string"),
    (HEAD + 'p := "\\q"', (2, 6), "illegal escape sequence"),
    (HEAD + "p := 01", (2, 6), "expected number without leading zero"),
    (HEAD + "p := 1e", (2, 6), "illegal number format"),
    (HEAD + "p := [1 2]", (2, 9), "unexpected number token"),
    (HEAD + "p if every x in xs { }", (2, 22), "found empty body"),
    (HEAD + "p if { input.x input.y }", (2, 16), "expected \\n or ; or }"),
    (HEAD + "p if not some x in [1]", (2, 10), "illegal negation of 'some'"),
    (HEAD + "import foo.bar", (2, 8), "unexpected import path"),
    (HEAD + "import future.keywords.nope", (2, 8), "unexpected keyword"),
    (HEAD + "default p", (2, 10), "expected default rule value term"),
    (HEAD + "default p := 1 if true", (2, 16), "default rules have no body"),
    (HEAD + "every := 1", (2, 1), "every keyword cannot be used for rule name"),
    (HEAD + "p contains 1 if true else := 2", (2, 22), "else keyword cannot be used on multi-value rules"),
    (HEAD + "p if input.x with 5 as 6", (2, 19), "expected ident"),
    (HEAD + 'p if "a".b', (2, 6), "illegal ref (head cannot be string)"),
    (HEAD + "p := !x", (2, 6), "illegal ! character"),
]


@pytest.mark.parametrize(("text", "place", "message"), WRONG, ids=[row[2] for row in WRONG])
def test_a_mistake_is_told_with_its_place(text: str, place: tuple[int, int], message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_module("t.rego", text)
    mistake = caught.value.mistakes[0]
    assert message in mistake.message
    assert (mistake.line, mistake.column) == place
    assert mistake.code == "rego_parse_error"


def test_rego_v0_is_told_how_to_become_v1() -> None:
    with pytest.raises(PolicyError, match="opa fmt --write --rego-v1"):
        parse_module("t.rego", HEAD + "allow {\n\tinput.x\n}")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("1 + 2 * 3", "plus"),
        ("1 * 2 + 3", "plus"),
        ("a | b & c", "or"),
        ("1 < 2 + 3", "lt"),
        ("x in y == z", "internal.member_2"),
        ("k, v in xs", "internal.member_3"),
        ("x := y in z", "assign"),
        ("-input.n", "minus"),
    ],
)
def test_precedence(text: str, name: str) -> None:
    expression = parse_query(text)[0].expression
    assert isinstance(expression, Call)
    assert ".".join(expression.name) == name


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("{}", Object),
        ("{1}", Set),
        ("set()", Set),
        ("{1: 2}", Object),
        ("{x | x := 1}", Comprehension),
        ("{x: 1 | x := 1}", Comprehension),
        ("[x | x := 1]", Comprehension),
        ("[1, 2][0]", Ref),
        ("`a\nb`", Scalar),
    ],
)
def test_terms(text: str, kind: type) -> None:
    assert isinstance(parse_query(text)[0].expression, kind)


def test_nesting_is_bounded_and_costs_no_more_than_its_length() -> None:
    parse_query("[" * 140 + "]" * 140)
    with pytest.raises(PolicyError, match="nested too deeply"):
        parse_query("[" * 100_000)


@given(st.text(alphabet='p:=[]{}()|,."`$#x1 \n\\iftnosme_-+*/<>!@é', max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(PolicyError):  # and no other one
        parse_module("t.rego", HEAD + text)


@given(st.text(max_size=40).filter(lambda text: "\n" not in text))
def test_any_text_after_a_number_sign_is_a_comment(text: str) -> None:
    tokens = Lexer("t.rego", f"x #{text}\ny").scan()
    assert [token.text for token in tokens] == ["x", "y", ""]
