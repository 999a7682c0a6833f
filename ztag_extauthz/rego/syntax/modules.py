"""Modules: package, imports and rules of Rego v1."""

from collections.abc import Mapping

from ztag_extauthz.rego.errors import Mistake, PolicyError
from ztag_extauthz.rego.syntax.annotations import Annotation, read_annotations
from ztag_extauthz.rego.syntax.bodies import BodyParser
from ztag_extauthz.rego.syntax.nodes import (
    Body,
    Call,
    Import,
    Literal,
    Module,
    Position,
    Ref,
    Rule,
    Scalar,
    Set,
    Term,
    Var,
)
from ztag_extauthz.rego.values import Value

_FUTURE = frozenset({"contains", "every", "if", "in"})
_V0_REMEDY = "this is Rego v0: rewrite the file by `opa fmt --write --rego-v1 FILE`"
_ASSIGNMENTS = ("=", ":=")


def parse_module(file: str, text: str) -> Module:
    """Read a module; a `PolicyError` says what is wrong in OPA's words."""
    try:
        return ModuleParser(file, text).module()
    except RecursionError:
        raise PolicyError([Mistake(file, 1, 1, "rego_parse_error", "the policy is nested too deeply")]) from None


def parse_modules(texts: Mapping[str, str]) -> dict[str, Module]:
    """Read modules by file name; a `PolicyError` holds the mistakes of all of them."""
    modules: dict[str, Module] = {}
    found: list[Mistake] = []
    for file, text in texts.items():
        try:
            modules[file] = parse_module(file, text)
        except PolicyError as error:
            found += error.mistakes
    if found:
        raise PolicyError(found)
    return modules


def parse_query(text: str) -> Body:
    """Read a query: the body of a rule, on its own."""
    return ModuleParser("query", text).query()


class ModuleParser(BodyParser):
    def query(self) -> Body:
        literals = [self._literal()]
        while self._token.kind != "eof":
            if not self._accept(";") and not self._token.first:
                self._illegal("expected \\n or ;")
            literals.append(self._literal())
        return tuple(literals)

    def module(self) -> Module:
        if self._token.kind == "eof":
            raise self._error("empty module")
        start = self._token.position
        package = self._package()
        imports = []
        while self._is("import"):
            imports.append(self._import())
        self._annotations = self._read_annotations()
        rules: list[Rule] = []
        while self._token.kind != "eof":
            if self._is("import"):
                imports.append(self._import())
            elif not self._accept(";"):
                rules.extend(self._rules())
        own = tuple(
            {"scope": "package", **note.value}
            for note in self._annotations
            if note.scope in ("package", "subpackages") or (note.scope is None and note.end == start[0] - 1)
        )
        return Module(
            self._file, package, tuple(imports), tuple(rules), self._lines, start, own, frozenset(self._replaced)
        )

    def _read_annotations(self) -> list[Annotation]:
        annotations, wrong = read_annotations(self._comments)
        for line, message in wrong:
            raise self._error(message, (line, 1))
        return annotations

    def _package(self) -> tuple[str, ...]:
        if not self._is("package"):
            raise self._error("package expected")
        self._advance()
        return self._path("package")

    def _path(self, what: str) -> tuple[str, ...]:
        if self._token.kind not in ("name", "keyword"):
            self._illegal()
        head = self._advance()
        term = self._postfix(Var(head.text, head.position), head.position)
        if not isinstance(term, Var | Ref):
            raise self._error(f"unexpected {what} path", head.position)
        parts = term.path if isinstance(term, Ref) else ()
        for part in parts:
            if not isinstance(part, Scalar) or not isinstance(part.value, str):
                raise self._error("unexpected token: expecting string", part.position)
        return (head.text, *(part.value for part in parts if isinstance(part, Scalar)))

    def _import(self) -> Import:
        start = self._advance().position
        place = self._token.position
        path = self._path("import")
        if path[0] not in ("data", "input", "future", "rego"):
            message = "unexpected import path, must begin with one of: {data, future, input, rego}, got: " + path[0]
            raise self._error(message, place)
        self._check_language(path, place)
        alias = path[-1]
        if self._accept("as"):
            if self._token.kind != "name":
                self._illegal("expected var")
            if self._token.text in ("input", "data"):
                message = f"unexpected import alias, must not be a reserved name, got: {self._token.text}"
                raise self._error(message, self._token.position)
            alias = self._advance().text
        return Import(path, alias, start)

    def _check_language(self, path: tuple[str, ...], place: Position) -> None:
        if path[0] == "rego" and path != ("rego", "v1"):
            raise self._error("invalid import, must be `rego.v1`", place)
        if path[0] != "future":
            return
        if len(path) < 2 or path[1] != "keywords" or len(path) > 3:
            raise self._error("invalid import, must be `future.keywords`", place)
        if len(path) == 3 and path[2] not in _FUTURE:
            if path[2] in ("and", "not", "or"):
                raise self._error(f"future.keywords.{path[2]} is not supported", place, "leave the import out")
            raise self._error(f"unexpected keyword, must be one of {sorted(_FUTURE)}", place)

    # -- rules

    def _rules(self) -> list[Rule]:
        start = self._token.position
        default = self._is("default") and self._advance() is not None
        ref, arguments = self._head()
        key = value = None
        contains = self._is("contains")
        if contains:
            if arguments is not None:
                self._illegal("the contains keyword can only be used with multi-value rule definitions")
            self._advance()
            key = self._term()
        elif self._token.kind in _ASSIGNMENTS:
            self._advance()
            value = self._term()
        elif self._is("=="):
            self._illegal()
        given = value is not None
        if not contains and value is None:
            value = Scalar(True, start)  # noqa: FBT003
        if default:
            return [self._default(ref, arguments, value if given else None, start)]
        body, explicit = self._rule_body(ref, start, contains=contains)
        if not (explicit or given or contains):
            self._refuse_bare(ref, arguments, start)
        otherwise = self._else(ref, arguments, contains=contains) if explicit else None
        rule = Rule(ref, arguments, key, value, body, start, otherwise=otherwise, annotations=self._notes(start))
        return [rule]

    def _notes(self, start: Position) -> tuple[Value, ...]:
        """Give the annotations that stand directly above a rule."""
        end = start[0] - 1
        notes: list[Value] = []
        for note in reversed(self._annotations):
            if note.end == end and note.scope in (None, "rule", "document"):
                notes.insert(0, note.value)
                end = note.line - 1
        return tuple(notes)

    def _head(self) -> tuple[tuple[Term, ...], tuple[Term, ...] | None]:
        token = self._token
        if token.kind != "name" and not self._starts_ref():
            if token.kind == "keyword" and token.text not in ("null", "true", "false"):
                raise self._error(f"{token.text} keyword cannot be used for rule name")
            self._illegal()
        self._advance()
        if token.text == "_":
            raise self._error("var cannot be used for rule name", token.position)
        name = Scalar(token.text, token.position)
        term = self._postfix(Var(token.text, token.position), token.position)
        if isinstance(term, Call):
            path = tuple(Scalar(part, term.position) for part in term.name[1:])
            return (name, *path), term.arguments
        if isinstance(term, Ref) and not isinstance(term.head, Var):
            self._illegal("rule head ref invalid")
        return (name, *(term.path if isinstance(term, Ref) else ())), None

    def _refuse_bare(self, ref: tuple[Term, ...], arguments: tuple[Term, ...] | None, start: Position) -> None:
        if arguments is not None:
            return
        if len(ref) == 1:
            raise self._error("var cannot be used for rule name", start)
        raise self._error("`contains` keyword is required for partial set rules", start, _V0_REMEDY)

    def _rule_body(self, ref: tuple[Term, ...], start: Position, *, contains: bool) -> tuple[Body, bool]:
        """Read what follows `if`, and tell whether there is any."""
        if self._is("{"):
            missing = "`if` keyword is required before rule body"
            if len(ref) == 2 and not contains:
                missing += ", or `contains` keyword is required for partial set rules"
            raise self._error(missing, start, _V0_REMEDY)
        if not self._accept("if"):
            if not self._token.first and self._token.kind not in ("eof", ";"):
                self._illegal()
            return (), False
        return self._if_body(), True

    def _if_body(self) -> Body:
        """Read one literal, or a body in braces; braces that make an object or comprehension are a literal."""
        if not self._is("{"):
            return (self._literal(),)
        index, wildcards, depth = self._index, self._wildcards, self._depth
        try:
            literal = self._literal()
            if not _is_set(literal):
                return (literal,)
        except PolicyError:
            pass
        self._rewind(index)
        self._wildcards, self._depth = wildcards, depth
        self._advance()
        return self._body("}")

    def _else(
        self, ref: tuple[Term, ...], arguments: tuple[Term, ...] | None, *, contains: bool = False
    ) -> Rule | None:
        if not self._is("else"):
            return None
        start = self._token.position
        if contains:
            raise self._error("else keyword cannot be used on multi-value rules")
        if any(isinstance(part, Var) for part in ref[1:]):
            raise self._error("else keyword cannot be used on rules with variables in head")
        self._advance()
        value: Term = Scalar(True, start)  # noqa: FBT003
        if self._token.kind in _ASSIGNMENTS:
            self._advance()
            value = self._term()
        elif not self._is("if"):
            self._illegal("expected else value term or rule body", _V0_REMEDY if self._is("{") else "")
        if self._is("{"):
            raise self._error("`if` keyword is required before rule body", start, _V0_REMEDY)
        if not self._accept("if"):
            return Rule(ref, arguments, None, value, (), start)
        body = self._if_body()
        return Rule(ref, arguments, None, value, body, start, otherwise=self._else(ref, arguments))

    def _default(
        self, ref: tuple[Term, ...], arguments: tuple[Term, ...] | None, value: Term | None, start: Position
    ) -> Rule:
        if value is None:
            self._illegal(f"expected default rule value term (e.g., default {_name(ref)} := <VALUE>)")
        for argument in arguments or ():
            if not isinstance(argument, Var):
                raise self._error("illegal default rule (arguments cannot contain non-var)", argument.position)
        if self._is("if") or self._is("{"):
            self._illegal("default rules have no body")
        return Rule(ref, arguments, None, value, (), start, default=True, annotations=self._notes(start))


def _is_set(literal: Literal) -> bool:
    return isinstance(literal.expression, Set)


def _name(ref: tuple[Term, ...]) -> str:
    return ".".join(str(part.value) for part in ref if isinstance(part, Scalar))
