"""Rules to definitions."""

from ztag_extauthz.rego.lower.bodies import BodyLowerer
from ztag_extauthz.rego.lower.ir import Const, Definition, Local, Path, Step, Term, locals_of
from ztag_extauthz.rego.lower.names import Mistakes, Names, fixed_path
from ztag_extauthz.rego.lower.scopes import declared_names, pattern_names
from ztag_extauthz.rego.syntax import nodes as ast
from ztag_extauthz.rego.syntax.nodes import Module, Position, Rule
from ztag_extauthz.rego.values import Value

_DEFAULT = "illegal default rule (value cannot contain {})"


def lower_rule(rule: Rule, module: Module, names: Names, mistakes: Mistakes, chain: list[Value]) -> Definition:
    """Lower a rule with its `else`s. `chain` holds the annotations that concern it, nearest first."""
    return RuleLowerer(module, names, mistakes, chain).rule(rule)


class RuleLowerer(BodyLowerer):
    def __init__(self, module: Module, names: Names, mistakes: Mistakes, chain: list[Value]) -> None:
        super().__init__(module, names, mistakes)
        self._chain = chain

    def rule(self, rule: Rule) -> Definition:
        path = fixed_path(self._module, rule)
        heads = rule.ref[len(path) - len(self._module.package) :]
        declared = [name for argument in rule.arguments or () for name in pattern_names(argument)]
        self._check_name(rule)
        self._scopes.push(declared_names(rule.body).union(declared))
        arguments = self._arguments(rule)
        self._refuse_lone_truth(rule.body)
        self._body(rule.body)
        keys = tuple(self._simple(part) for part in heads)
        keys = tuple(
            part if isinstance(part, Const | Local) else self._bind(part, rule.position, self._later) for part in keys
        )
        self._settle()
        member = self._simple(rule.key) if rule.key is not None else None
        value = self._value(rule)
        self._settle()
        self._scopes.pop()
        self._check_declared([*self._steps], [*keys, *(term for term in (member, value) if term is not None)])
        return Definition(
            path,
            keys,
            arguments,
            member,
            value,
            tuple(self._steps),
            self._module.file,
            rule.position,
            tuple(self._scopes.names),
            default=rule.default,
            otherwise=self._otherwise(rule),
        )

    def _check_name(self, rule: Rule) -> None:
        first = rule.ref[0]
        if isinstance(first, ast.Scalar) and first.value in ("input", "data"):
            message = f"rules must not shadow {first.value} (use a different rule name)"
            self._mistake(rule.position, "rego_compile_error", message)

    def _check_declared(self, steps: list[Step], heads: list[Term]) -> None:
        """Refuse what `some x` declares and nothing uses."""
        if self._unused:
            used = set().union(*(locals_of(node) for node in (*steps, *heads)))
            for local, var in self._unused:
                if local is not None and local.number not in used and not var.name.startswith("$"):
                    self._mistake(var.position, "rego_compile_error", f"declared var {var.name} unused")

    def _otherwise(self, rule: Rule) -> Definition | None:
        if rule.otherwise is None:
            return None
        return RuleLowerer(self._module, self._names, self._mistakes, self._chain).rule(rule.otherwise)

    def _refuse_lone_truth(self, body: ast.Body) -> None:
        """Refuse a body of nothing but `not true`: OPA takes it for `true` where the head holds a reference."""
        only = body[0] if len(body) == 1 else None
        if only is None or not isinstance(only.expression, ast.Scalar) or only.expression.value is not True:
            return
        if only.negated or only.withs:
            message = "a body that is true alone, with not or with before or behind it, means nothing"
            self._mistake(only.position, "rego_unsupported_error", message, "leave the rule out")

    def _arguments(self, rule: Rule) -> tuple[Term, ...] | None:
        if rule.arguments is None:
            return None
        return tuple(self._argument(argument, rule.position) for argument in rule.arguments)

    def _argument(self, term: ast.Term, position: Position) -> Term:
        """Lower a parameter: its variables are declared, what has to be computed is compared in the body."""
        for name in pattern_names(term):
            if name in ("input", "data"):
                message = f"args must not shadow {name} (use a different variable name)"
                self._mistake(position, "rego_compile_error", message)
            elif not name.startswith("$") and self._scopes.find(name) is None:
                self._declare(ast.Var(name, position), "argument")
        lowered = self._term(term)
        return self._bind(lowered, position, self._steps) if isinstance(lowered, Path) else lowered

    def _value(self, rule: Rule) -> Term | None:
        if rule.value is None:
            return None
        if rule.default:
            self._check_default(rule.value)
        return self._simple(rule.value)

    def _check_default(self, term: ast.Term) -> None:
        if isinstance(term, ast.Var | ast.Ref | ast.Call):
            kind = type(term).__name__.lower()
            self._mistake(term.position, "rego_parse_error", _DEFAULT.format(kind))
        elif not isinstance(term, ast.Comprehension):
            for child in ast.children(term):
                self._check_default(child)

    def _metadata(self, name: str) -> Term:
        if name == "rego.metadata.chain":
            return Const(self._chain)
        own = self._chain[0].get("annotations") if self._chain else None
        return Const(own if own is not None else {})


def lower_query(body: ast.Body, module: Module, names: Names, mistakes: Mistakes) -> tuple[list[Step], list[str]]:
    """Lower a query; also gives the names of its locals."""
    lowerer = RuleLowerer(module, names, mistakes, [])
    lowerer._scopes.push(declared_names(body))  # noqa: SLF001 (a rule without a head)
    return lowerer._body(body), lowerer._scopes.names  # noqa: SLF001
