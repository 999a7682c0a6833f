"""Terms: what has a value. Precedence from loose to tight: `in`, relations, `|`, `&`, `+ -`, `* / %`."""

from collections.abc import Callable
from typing import Final

from ztag_extauthz.rego.documents import parse_number
from ztag_extauthz.rego.syntax.cursor import Cursor
from ztag_extauthz.rego.syntax.lexer import Token
from ztag_extauthz.rego.syntax.nodes import (
    Array,
    Body,
    Call,
    Comprehension,
    Literal,
    Object,
    Position,
    Ref,
    Scalar,
    Set,
    Template,
    Term,
    Var,
)

MAX_DEPTH: Final = 150
"""Terms and bodies nest no deeper: every later stage walks them by recursion."""

_LEVELS: Final[tuple[dict[str, str], ...]] = (
    {"==": "equal", "!=": "neq", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"},
    {"|": "or"},
    {"&": "and"},
    {"+": "plus", "-": "minus"},
    {"*": "mul", "/": "div", "%": "rem"},
)
_OPERATORS: Final = {sign: (level, name) for level, operators in enumerate(_LEVELS) for sign, name in operators.items()}
_CONSTANTS: Final = {"null": None, "true": True, "false": False}
_ROOTS: Final = ("input", "data")


class TermParser(Cursor):
    """Reads terms. Bodies, which comprehensions hold, are read by a subclass."""

    def _body(self, end: str) -> Body:
        raise NotImplementedError

    def _literal(self) -> Literal:
        raise NotImplementedError

    def _term(self, *, pairs: bool = True, left: Term | None = None) -> Term:
        """Read a term with its infix operators.

        `pairs` allows `key, value in domain`; `left` is what was read of it already.
        """
        left = self._infix(0, left)
        if pairs and self._is(","):
            left = self._pair_membership(left)
        while self._accept("in"):
            left = Call(("internal", "member_2"), (left, self._infix(0)), left.position, infix=True)
        return left

    def _pair_membership(self, key: Term) -> Term:
        index, wildcards = self._index, self._wildcards
        self._advance()
        if self._token.kind in ("eof", "}", "]", ")", ","):
            self._rewind(index)
            return key
        value = self._infix(0)
        if self._accept("in"):
            return Call(("internal", "member_3"), (key, value, self._infix(0)), key.position, infix=True)
        self._rewind(index)
        self._wildcards = wildcards
        return key

    def _infix(self, level: int, left: Term | None = None) -> Term:
        """Read operators that bind at least as tightly as `level`, from left to right."""
        left = left or self._primary()
        while True:
            operator = _OPERATORS.get(self._token.kind)
            if operator is None or operator[0] < level:
                return left
            self._advance()
            left = Call((operator[1],), (left, self._infix(operator[0] + 1)), left.position, infix=True)

    def _primary(self) -> Term:
        token = self._token
        if token.kind == "-":
            return self._negative()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error("the policy is nested too deeply")
        term = self._postfix(self._simple(), token.position)
        self._depth -= 1
        return term

    def _negative(self) -> Term:
        start = self._advance().position
        if self._token.kind == "number":
            return Scalar(parse_number("-" + self._advance().text), start)
        if self._token.kind != "name" and not self._is("contains"):
            self._illegal("expected number")
        return Call(("minus",), (Scalar(0, start), self._primary()), start, infix=True)

    def _simple(self) -> Term:
        token = self._token
        reader = _READERS.get(token.kind)
        if reader is not None:
            return reader(self)
        if token.kind == "keyword":
            if token.text in _CONSTANTS and not self._starts_ref():
                self._advance()
                return Scalar(_CONSTANTS[token.text], token.position)
            if token.text == "contains" or self._starts_ref():
                return self._var(self._advance())
        return self._illegal()

    def _name(self) -> Var:
        return self._var(self._advance())

    def _string(self) -> Scalar:
        token = self._advance()
        return Scalar(token.text, token.position)

    def _var(self, token: Token) -> Var:
        if token.text != "_":
            return Var(token.text, token.position)
        self._wildcards += 1
        return Var(f"${self._wildcards - 1}", token.position)

    def _number(self) -> Scalar:
        token = self._advance()
        try:
            return Scalar(parse_number(token.text), token.position)
        except (ValueError, ArithmeticError):
            raise self._error("number too big", token.position) from None

    def _parentheses(self) -> Term:
        self._advance()
        term = self._term()
        if not self._is(")"):
            raise self._error("non-terminated expression")
        self._advance()
        return term

    def _postfix(self, term: Term, start: Position) -> Term:
        """Read what follows a term without white space: `.name`, `[index]` and `(arguments)`."""
        path: list[Term] = []
        while not self._token.spaced and self._token.kind in (".", "[", "("):
            if self._token.kind == "(":
                term, path = self._call(term, path, start), []
            elif self._token.kind == ".":
                path.append(self._field())
            else:
                path.append(self._index_term())
        if path:
            if isinstance(term, Scalar | Template):
                raise self._error(f"illegal ref (head cannot be {_kind(term)})", start)
            return Ref(term, tuple(path), start)
        return Ref(term, (), start) if isinstance(term, Var) and term.name in _ROOTS else term

    def _field(self) -> Scalar:
        self._advance()
        if self._token.kind not in ("name", "keyword") or self._token.spaced:
            self._illegal("expected identifier")
        token = self._advance()
        return Scalar(token.text, token.position)

    def _index_term(self) -> Term:
        self._advance()
        term = self._term()
        self._expect("]")
        return term

    def _call(self, term: Term, path: list[Term], start: Position) -> Term:
        self._advance()
        names = [part.value for part in path if isinstance(part, Scalar) and isinstance(part.value, str)]
        if not isinstance(term, Var) or len(names) < len(path):
            raise self._error("a function is called by its name alone", start)
        if term.name == "set" and not path and self._accept(")"):
            return Set((), start)
        return Call((term.name, *names), self._list(")"), start)

    def _list(self, end: str) -> tuple[Term, ...]:
        """Read terms up to `end`; a trailing comma is allowed."""
        terms: list[Term] = []
        while not self._accept(end):
            terms.append(self._term(pairs=False))
            if not self._accept(","):
                self._expect(end, f'expected "," or "{end}"')
                break
        return tuple(terms)

    def _template(self) -> Template:
        start = self._token.position
        parts: list[Scalar | Literal] = []
        while True:
            token = self._advance()
            if token.text:
                parts.append(Scalar(token.text, token.position))
            if token.kind == "template-end":
                return Template(tuple(parts), start)
            parts.append(self._literal())
            self._expect("}", "expected } to end template string expression")

    # In collections a single term before `|` is the head of a comprehension, never a part of a union.

    def _array(self) -> Term:
        start = self._advance().position
        if self._accept("]"):
            return Array((), start)
        self._accept(",")
        first = self._primary()
        if self._accept("|"):
            return Comprehension("array", None, first, self._body("]"), start)
        return Array((self._term(pairs=False, left=first), *self._rest("]")), start)

    def _braces(self) -> Term:
        start = self._advance().position
        if self._accept("}"):
            return Object((), start)
        self._accept(",")
        first = self._primary()
        if self._accept("|"):
            return Comprehension("set", None, first, self._body("}"), start)
        first = self._term(pairs=False, left=first)
        if not self._accept(":"):
            return Set((first, *self._rest("}")), start)
        value = self._primary()
        if self._accept("|"):
            return Comprehension("object", first, value, self._body("}"), start)
        return Object(((first, self._term(pairs=False, left=value)), *self._pairs()), start)

    def _rest(self, end: str) -> tuple[Term, ...]:
        if self._accept(","):
            return self._list(end)
        self._expect(end, f'expected "," or "{end}"')
        return ()

    def _pairs(self) -> list[tuple[Term, Term]]:
        pairs: list[tuple[Term, Term]] = []
        while self._accept(","):
            if self._is("}"):
                break
            key = self._term(pairs=False)
            self._expect(":", 'expected ":"')
            pairs.append((key, self._term(pairs=False)))
        self._expect("}", 'expected "," or "}"')
        return pairs


# ruff: noqa: SLF001 (a table of the class's own methods)
_READERS: Final[dict[str, Callable[[TermParser], Term]]] = {
    "name": TermParser._name,
    "string": TermParser._string,
    "number": TermParser._number,
    "[": TermParser._array,
    "{": TermParser._braces,
    "(": TermParser._parentheses,
    "template": TermParser._template,
    "template-end": TermParser._template,
}


def _kind(term: Term) -> str:
    if isinstance(term, Template):
        return "template-string"
    value = term.value if isinstance(term, Scalar) else None
    return {bool: "boolean", str: "string", type(None): "null"}.get(type(value), "number")
