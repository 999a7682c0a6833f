"""`ztag policy fmt-check`: what `opa fmt` would change, as far as it is told."""

import json
from collections.abc import Callable

import pytest
from typer.testing import Result

from tests.cli.policy.conftest import Write

FORMATTED = """package p

# A comment.
import data.a

x := {"a": [1, 2], "b": -1} # of a line

raw := `  two  spaces
  and more,here  `

y contains x if {
	some x in a # here
	x > 1 - 2
	z := {v | some v in x; v != f(1, "a , b")}
	t := $"a {x}  {  z}"
}
"""


def test_what_is_formatted_is_ok(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "fmt-check", write("p.rego", FORMATTED))
    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("[1, 2]", "[1,2]", 6, "no space between , and 2"),
        ("[1, 2]", "[1 , 2]", 6, "space between 1 and ,"),
        ("[1, 2]", "[ 1, 2]", 6, "space between [ and 1"),
        ('"a": [', '"a":[', 6, "no space between : and ["),
        ("x > 1", "x>1", 13, "no space between x and >"),
        ("x := {", "x  := {", 6, "more than one space before :="),
        ("\tx > 1", "    x > 1", 13, "indented by spaces"),
        ("x > 1", "x > 1\t", 13, "more than one space before -"),
        ("some x in a # here", "some x in a  # here", 12, "not one space before the comment"),
        ("# A comment.", "# A comment. ", 3, "space at the end of the line"),
        ("package p\n", "package p\n\n", 3, "more than one blank line"),
        ("package p\n\n#", "package p\nimport data.b\n\n#", 2, "no blank line after the package"),
        ('z}"\n}\n', 'z}"\n}\nz := 1\n', 17, "no blank line after a rule"),
        ("y contains x if {\n", "y contains x if {\n\n", 12, "a blank line at the beginning of a block"),
        ("package p\n", "\npackage p\n", 1, "a blank line at the beginning of the file"),
        ('z}"\n}\n', 'z}"\n}', 16, "no line break at the end of the file"),
    ],
)
def test_what_is_not(  # noqa: PLR0917 - fixtures and a row
    run: Callable[..., Result], write: Write, old: str, new: str, line: int, what: str
) -> None:
    assert old in FORMATTED
    result = run("policy", "fmt-check", "--json", write("p.rego", FORMATTED.replace(old, new)))
    assert result.exit_code == 1
    assert {"file": "p.rego", "line": line, "what": what} in json.loads(result.stdout)


def test_each_place_is_a_line(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "fmt-check", write("p.rego", "package p\n\nx  := [1,2]\n"))
    assert result.exit_code == 1
    assert result.stdout == "p.rego:3: more than one space before :=\np.rego:3: no space between , and 2\n"


def test_what_has_no_tokens_is_refused(run: Callable[..., Result], write: Write) -> None:
    result = run("policy", "fmt-check", write("p.rego", 'package p\n\nx := "\n'))
    assert result.exit_code == 2
    assert "p.rego:3:6: rego_parse_error: non-terminated string" in result.stderr
