"""Where a parser stands in the tokens of a file, and how it says what it did not expect."""

from typing import NoReturn

from ztag_extauthz.rego.errors import PolicyError
from ztag_extauthz.rego.syntax.lexer import Lexer, Token, parse_error
from ztag_extauthz.rego.syntax.nodes import Position


class Cursor:
    def __init__(self, file: str, text: str) -> None:
        lexer = Lexer(file, text)
        self._file = file
        self._tokens = lexer.scan()
        self._lines = lexer.lines
        self._comments = lexer.comments
        self._index = 0
        self._token = self._tokens[0]
        self._wildcards = 0
        self._depth = 0
        self._replaced: set[str] = set()  # the dotted names of what `with` replaces

    def _advance(self) -> Token:
        token = self._token
        self._index += 1
        self._token = self._tokens[min(self._index, len(self._tokens) - 1)]
        return token

    def _rewind(self, index: int) -> None:
        self._index = index
        self._token = self._tokens[index]

    def _ahead(self) -> Token:
        return self._tokens[min(self._index + 1, len(self._tokens) - 1)]

    def _is(self, text: str) -> bool:
        """Tell whether the next token is this sign or keyword (a string never is, nor the name in `if.x`)."""
        token = self._token
        return token.text == text and (token.kind == text or (token.kind == "keyword" and not self._starts_ref()))

    def _accept(self, text: str) -> bool:
        if self._is(text):
            self._advance()
            return True
        return False

    def _expect(self, text: str, note: str = "") -> Token:
        if not self._is(text):
            self._illegal(note or f"expected {text}")
        return self._advance()

    def _error(self, message: str, position: Position | None = None, remedy: str = "") -> PolicyError:
        return parse_error(self._file, self._lines, position or self._token.position, message, remedy)

    def _illegal(self, note: str = "", remedy: str = "") -> NoReturn:
        token = self._token
        kind = "keyword" if token.kind == "keyword" else "token"
        name = {"name": "identifier", "keyword": token.text}.get(token.kind, token.kind)
        raise self._error(f"unexpected {name} {kind}" + (f": {note}" if note else ""), remedy=remedy)

    def _starts_ref(self) -> bool:
        """Tell whether a keyword is used as the name that a reference begins with: `if.x`, `in["y"]`."""
        following = self._ahead()
        return self._token.kind == "keyword" and following.kind in (".", "[") and not following.spaced
