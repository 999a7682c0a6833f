"""Text to tokens, with the places and the white space that the grammar looks at."""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from ztag_extauthz.rego.errors import Mistake, PolicyError
from ztag_extauthz.rego.syntax.nodes import Position

KEYWORDS: Final = frozenset(
    [
        "as",
        "contains",
        "default",
        "else",
        "every",
        "false",
        "if",
        "import",
        "in",
        "not",
        "null",
        "package",
        "some",
        "true",
        "with",
    ]
)


class Token(NamedTuple):
    kind: str  # name, keyword, number, string, template (more follows a `}`), template-end, eof, or the sign itself
    text: str
    line: int
    column: int
    spaced: bool  # white space or a comment stands before it
    first: bool  # a line break stands before it

    @property
    def position(self) -> Position:
        return self.line, self.column


_TOKEN: Final = re.compile(
    r"""
    (?P<space>[ \t\r]+)
  | (?P<newline>\n)
  | (?P<comment>\#[^\n]*)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]*)?[A-Za-z0-9_]*)
  | (?P<string>"(?:[^"\\\n]|\\[^\n])*")
  | (?P<raw>`[^`]*`)
  | (?P<template>\$["`])
  | (?P<sign>:=|==|!=|<=|>=|[\[\]{}(),:;.+\-*/%&|=<>])
    """,
    re.VERBOSE,
)
_NUMBER: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.|$)", re.DOTALL)
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "/": "/"}
_PART: Final = {
    '"': re.compile(r'((?:[^"\\\n{]|\\[^\n])*)(["{])'),
    "`": re.compile(r"((?:[^`\\{]|\\\{|\\)*)([`{])"),
}
_MESSAGES: Final = {
    '"': "non-terminated string",
    "`": "non-terminated string",
    "!": "illegal ! character",
    "$": "illegal $ character",
    "\u00a0": "illegal non-breaking space character, use a regular space instead",
    "\0": "illegal null character",
}


@dataclass(frozen=True, slots=True)
class Comment:
    text: str
    line: int
    column: int


def parse_error(file: str, lines: tuple[str, ...], position: Position, message: str, remedy: str = "") -> PolicyError:
    line, column = position
    shown = lines[line - 1] if 0 < line <= len(lines) else ""
    return PolicyError([Mistake(file, line, column, "rego_parse_error", message, shown, remedy)])


class Lexer:
    """Splits one file. Templates nest: a `{` in one begins tokens that end at its own `}`."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text.removeprefix("\ufeff")
        self.lines = tuple(self.text.split("\n"))
        self.tokens: list[Token] = []
        self.comments: list[Comment] = []
        self._at = 0
        self._line = 1
        self._line_start = 0
        self._spaced = self._first = False
        self._open: list[tuple[str, int]] = []  # quote of each open template, and braces open in its expression

    def scan(self) -> list[Token]:
        while self._at < len(self.text):
            self._next()
        if self._open:
            raise self._error("non-terminated string")
        self._add("eof", "")
        return self.tokens

    def _error(self, message: str, at: int | None = None) -> PolicyError:
        column = (self._at if at is None else at) - self._line_start + 1
        return parse_error(self.file, self.lines, (self._line, column), message)

    def _add(self, kind: str, text: str) -> None:
        column = self._at - self._line_start + 1
        self.tokens.append(Token(kind, text, self._line, column, self._spaced, self._first))
        self._spaced = self._first = False

    def _newlines(self, start: int, end: int) -> None:
        count = self.text.count("\n", start, end)
        if count:
            self._line += count
            self._line_start = self.text.rfind("\n", start, end) + 1

    def _next(self) -> None:
        match = _TOKEN.match(self.text, self._at)
        if match is None:
            raise self._error(_MESSAGES.get(self.text[self._at], "illegal token"))
        kind, text, start, end = str(match.lastgroup), match.group(), self._at, match.end()
        if kind == "space":
            self._spaced = True
        elif kind == "newline":
            self._spaced = self._first = True
        elif kind == "name":
            self._add("keyword" if text in KEYWORDS else "name", text)
        elif kind == "sign":
            end = self._sign(text, end)
        elif kind == "template":
            end = self._template_part(text[1], end)
        else:
            getattr(self, f"_{kind}")(text)
        self._at = end
        if kind in {"newline", "raw"}:
            self._newlines(start, end)

    def _comment(self, text: str) -> None:
        self.comments.append(Comment(text[1:].rstrip("\r"), self._line, self._at - self._line_start + 1))
        self._spaced = True

    def _number(self, text: str) -> None:
        if not _NUMBER.fullmatch(text):
            leading = len(text) > 1 and text[0] == "0" and text.isdigit()
            raise self._error(
                "unexpected number token: expected number without leading zero" if leading else "illegal number format"
            )
        self._add("number", text)

    def _string(self, text: str) -> None:
        self._add("string", self._unescape(text[1:-1]))

    def _raw(self, text: str) -> None:
        self._add("string", text[1:-1])

    def _sign(self, sign: str, end: int) -> int:
        self._add(sign, sign)
        if not self._open or sign not in "{}":
            return end
        quote, depth = self._open[-1]
        if sign == "}" and depth == 0:
            self._open.pop()
            return self._template_part(quote, end)
        self._open[-1] = quote, depth + (1 if sign == "{" else -1)
        return end

    def _template_part(self, quote: str, start: int) -> int:
        """Add the text up to the next `{` or the closing quote; say where it ends."""
        match = _PART[quote].match(self.text, start)
        if match is None:
            raise self._error("non-terminated string")
        text, more = match.group(1), match.group(2) == "{"
        plain = text.replace("\\{", "{") if quote == "`" else self._unescape(text, braces=True)
        self._add("template" if more else "template-end", plain)
        if more:
            self._open.append((quote, 0))
        self._newlines(start, match.end())
        return match.end()

    def _unescape(self, text: str, *, braces: bool = False) -> str:
        if "\\" not in text:
            return text

        def character(match: re.Match[str]) -> str:
            name = match.group(1)
            if braces and name == "{":
                return name
            if name[:1] == "u" and len(name) == 5:
                return chr(int(name[1:], 16))
            if name not in _ESCAPES:
                raise self._error("illegal escape sequence")
            return _ESCAPES[name]

        plain = _ESCAPE.sub(character, text)
        return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
