"""The part of `opa fmt`'s layout that can be told from single lines and pairs of tokens.

Whatever is found here `opa fmt` would change (but for some lines of a term with comments in it, which it leaves as they
are). It changes more: where lines break and how far they are indented, `x = 1` at the head of a rule to `x := 1`, the
order of imports. A line with `$"…"` in it is left alone.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from ztag_extauthz.rego.syntax.lexer import Comment, Lexer, Token

_SPACED = frozenset({":=", "==", "!=", "<=", ">=", "<", ">", "=", "|", "&", "+", "*", "/", "%"})
_NOTHING_BEFORE = frozenset({",", ";", ":", ")", "]"})
_NOTHING_AFTER = frozenset({"(", "["})
_SPACE_AFTER = frozenset({",", ";", ":"})


def find(file: str, text: str) -> list[tuple[int, str]]:
    """Return line numbers and what is wrong there; raises the engine's `PolicyError` where tokens are none."""
    lexer = Lexer(file, text)
    tokens = lexer.scan()
    raw = set(_raw_lines(tokens, lexer.lines))
    templates = {token.line for token in tokens if token.kind.startswith("template")}
    found = [
        *_lines(lexer.lines, raw),
        *_blocks(lexer.lines, raw | {comment.line for comment in lexer.comments}),
        *_tokens(tokens, lexer, raw | templates),
        *_comments(lexer.comments, lexer),
    ]
    return sorted(set(found))


def _raw_lines(tokens: Sequence[Token], lines: Sequence[str]) -> Iterator[int]:
    """Yield the lines that a raw string with line breaks is on."""
    for token in tokens:
        quoted = lines[token.line - 1][token.column - 1 : token.column] == "`"
        if "\n" in token.text and (quoted or token.kind.startswith("template")):
            yield from range(token.line, token.line + token.text.count("\n") + 1)


def _lines(lines: Sequence[str], raw: set[int]) -> Iterator[tuple[int, str]]:
    last = len(lines)
    if lines[-1] != "" or last < 2:
        yield last, "no line break at the end of the file"
    if not lines[0].strip():
        yield 1, "a blank line at the beginning of the file"
    for number, line in enumerate(lines, start=1):
        if number in raw:
            continue
        if line != line.rstrip():
            yield number, "space at the end of the line"
        if " " in line[: len(line) - len(line.lstrip())] and line.strip():
            yield number, "indented by spaces"
        blank = not line.strip() and number > 1 and not lines[number - 2].strip() and number - 1 not in raw
        if blank:
            yield number, "more than one blank line"


def _blocks(lines: Sequence[str], skipped: set[int]) -> Iterator[tuple[int, str]]:
    """Yield where a package or the body of a rule is not set apart by a blank line, or begins with one."""
    for number, (line, following) in enumerate(pairwise(lines), start=1):
        if number in skipped or number + 1 in skipped:
            continue
        if not following.strip():
            if line.endswith("{") and number + 1 < len(lines):
                yield number + 1, "a blank line at the beginning of a block"
        elif line.startswith("package "):
            yield number + 1, "no blank line after the package"
        elif line == "}":
            yield number + 1, "no blank line after a rule"


def _tokens(tokens: Sequence[Token], lexer: Lexer, skipped: set[int]) -> Iterator[tuple[int, str]]:
    for before, token in pairwise(tokens):
        if token.line in skipped or token.line != before.line or token.first or token.kind == "eof":
            continue
        gap = _gap(lexer.lines[token.line - 1], token.column)
        if gap not in {"", " "}:
            yield token.line, f"more than one space before {_shown(token)}"
        elif gap and (token.kind in _NOTHING_BEFORE or before.kind in _NOTHING_AFTER):
            yield token.line, f"space between {_shown(before)} and {_shown(token)}"
        elif not gap and (token.kind in _SPACED or before.kind in _SPACED or before.kind in _SPACE_AFTER):
            yield token.line, f"no space between {_shown(before)} and {_shown(token)}"


def _comments(comments: Sequence[Comment], lexer: Lexer) -> Iterator[tuple[int, str]]:
    for comment in comments:
        line = lexer.lines[comment.line - 1]
        if line[: comment.column - 1].strip() and _gap(line, comment.column) != " ":
            yield comment.line, "not one space before the comment"


def _gap(line: str, column: int) -> str:
    before = line[: column - 1]
    return before[len(before.rstrip()) :]


def _shown(token: Token) -> str:
    return "a string" if token.kind == "string" else token.text
