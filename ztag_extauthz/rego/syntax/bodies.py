"""Bodies: literals, one a line or separated by `;`."""

from ztag_extauthz.rego.syntax.nodes import Body, Call, Every, Literal, Ref, Scalar, Some, SomeIn, Term, Var, With
from ztag_extauthz.rego.syntax.terms import TermParser

_MEMBER = ("internal", "member_2")
_MEMBER_WITH_KEY = ("internal", "member_3")


class BodyParser(TermParser):
    def _body(self, end: str) -> Body:
        """Read literals up to and with `end`."""
        if self._is(end):
            raise self._error("found empty body")
        literals = [self._literal()]
        while not self._accept(end):
            if not self._accept(";") and not self._token.first:
                self._illegal(f"expected \\n or ; or {end}")
            elif self._is(end):
                self._illegal()
            else:
                literals.append(self._literal())
        return tuple(literals)

    def _literal(self) -> Literal:
        start = self._token.position
        if self._accept("some"):
            return Literal(self._some(), start, withs=self._withs())
        if self._accept("every"):
            return Literal(self._every(), start, withs=self._withs())
        if self._accept("not"):
            return self._negation(start)
        return Literal(self._expression(), start, withs=self._withs())

    def _negation(self, start: tuple[int, int]) -> Literal:
        if self._is("some") or self._is("every"):
            self._illegal(f"illegal negation of '{self._token.text}'")
        return Literal(self._expression(), start, negated=True, withs=self._withs())

    def _expression(self) -> Term:
        left = self._term()
        if self._token.kind not in ("=", ":="):
            return left
        operator = self._advance()
        name = "eq" if operator.kind == "=" else "assign"
        return Call((name,), (left, self._term()), left.position, infix=True)

    def _some(self) -> Some | SomeIn:
        start = self._token.position
        index, wildcards = self._index, self._wildcards
        term = self._term()
        if isinstance(term, Call):
            if term.infix and term.name == _MEMBER:
                return SomeIn(None, term.arguments[0], term.arguments[1], start)
            if term.infix and term.name == _MEMBER_WITH_KEY:
                return SomeIn(term.arguments[0], term.arguments[1], term.arguments[2], start)
            self._illegal("expected `x in xs` or `x, y in xs` expression")
        self._rewind(index)
        self._wildcards = wildcards
        return Some(self._names(), start)

    def _names(self) -> tuple[Var, ...]:
        names = []
        while True:
            if self._token.kind != "name":
                self._illegal("expected var")
            names.append(self._var(self._advance()))
            if not self._accept(","):
                return tuple(names)

    def _every(self) -> Every:
        start = self._token.position
        term = self._term()
        if not isinstance(term, Call) or term.name not in (_MEMBER, _MEMBER_WITH_KEY) or not term.infix:
            self._illegal("expected `x[, y] in xs { ... }` expression")
        key = term.arguments[0] if len(term.arguments) == 3 else None
        value, domain = term.arguments[-2:]
        if key is not None and not isinstance(key, Var):
            self._illegal("expected key to be a variable")
        if not isinstance(value, Var):
            self._illegal("expected value to be a variable")
        self._expect("{", "missing body")
        return Every(key, value, domain, self._body("}"), start)

    def _withs(self) -> tuple[With, ...]:
        withs = []
        while self._is("with"):
            start = self._advance().position
            if self._token.kind != "name":
                self._illegal("expected ident")
            target = self._primary()
            self._replaced.add(_dotted(target))
            self._expect("as", "expected as keyword")
            withs.append(With(target, self._term(), start))
        return tuple(withs)


def _dotted(term: Term) -> str:
    head, path = (term.head, term.path) if isinstance(term, Ref) else (term, ())
    parts = [part.value for part in path if isinstance(part, Scalar)]
    return ".".join(map(str, [head.name if isinstance(head, Var) else "", *parts]))
