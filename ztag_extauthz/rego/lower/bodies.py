"""Literals to steps."""

from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass

from ztag_extauthz.rego.lower import ir
from ztag_extauthz.rego.lower.names import builtin_arity
from ztag_extauthz.rego.lower.scopes import declared_names, pattern_names
from ztag_extauthz.rego.lower.terms import TermLowerer
from ztag_extauthz.rego.syntax import nodes as ast

_NOT_REPLACEABLE = ("eq", "rego.metadata.chain", "rego.metadata.rule")
_ASSIGN_IN_NOT = "cannot assign vars inside negated expression"


class BodyLowerer(TermLowerer):
    def _body(self, body: ast.Body) -> list[ir.Step]:
        """Add the steps of a body; the caller has entered its scope."""
        for literal in body:
            self._literal(literal)
        return self._steps

    def _literal(self, literal: ast.Literal) -> None:
        overrides = tuple(filter(None, map(self._override, literal.withs)))
        outer, self._overrides = self._overrides, overrides
        self._settle()
        step = self._step(literal)
        self._settle()
        if step is not None:
            self._steps.append(step)
        self._overrides = outer

    def _step(self, literal: ast.Literal) -> ir.Step | None:
        expression = literal.expression
        match expression:
            case ast.Some():
                for var in expression.names:
                    self._declare(var, "declared")
                    self._unused.append((self._scopes.find(var.name), var))
                return None
            case ast.SomeIn():
                return self._some_in(expression)
            case ast.Every():
                return self._every(expression)
        step = self._expression(expression, negated=literal.negated)
        if literal.negated and step is not None:
            return ir.Negation(step, literal.position, self._overrides)
        return step

    def _declare(self, var: ast.Var, how: str) -> ir.Local:
        if var.name.startswith("$"):
            return self._scopes.fresh()
        if var.name in ("input", "data"):
            message = f"variables must not shadow {var.name} (use a different variable name)"
            self._mistake(var.position, "rego_compile_error", message)
        local, clash = self._scopes.declare(var.name, how)
        if clash:
            self._mistake(var.position, "rego_compile_error", clash)
        return local

    def _check_used(self, var: ast.Var | None, body: ast.Body) -> None:
        """Refuse a variable of `every` that its body does not name."""
        if var is not None and not var.name.startswith("$") and var.name not in set(_names(body)):
            self._mistake(var.position, "rego_compile_error", f"declared var {var.name} unused")

    def _expression(self, term: ast.Term, *, negated: bool) -> ir.Step | None:
        if not isinstance(term, ast.Call):
            return ir.Check(self._term(term), term.position, self._overrides)
        if term.infix and term.name == ("assign",):
            if negated:
                self._mistake(term.position, "rego_compile_error", _ASSIGN_IN_NOT)
                return None
            return self._assignment(term)
        if term.infix and term.name in (("eq",), ("equal",)):
            left, right = (self._term(argument) for argument in term.arguments)
            return ir.Unify(left, right, term.position, self._overrides, "=" if term.name == ("eq",) else "==")
        return self._call(term, negated=negated)

    def _assignment(self, call: ast.Call) -> ir.Step:
        pattern, value = call.arguments
        right = self._term(value)
        left = self._pattern(pattern, "assigned")
        return ir.Unify(left, right, call.position, self._overrides, ":=")

    def _pattern(self, term: ast.Term, how: str) -> ir.Term:
        """Declare the variables of what stands left of `:=`."""
        match term:
            case ast.Var():
                return self._declare(term, how)
            case ast.Ref(head=ast.Var() as head, path=()):
                return self._declare(head, how)
            case ast.Array():
                return ir.ListTerm(tuple(self._pattern(item, how) for item in term.items))
            case ast.Object():
                return ir.ObjectTerm(tuple((self._simple(key), self._pattern(item, how)) for key, item in term.pairs))
        self._mistake(term.position, "rego_compile_error", f"cannot assign to {_value_name(term)}")
        return ir.Const(None)

    def _call(self, call: ast.Call, *, negated: bool) -> ir.Step | None:
        function = self._function(call)
        if function is None:
            return None
        name = function.path[0] if function.builtin else ""
        if name == "print":
            if negated:
                self._mistake(call.position, "rego_unsupported_error", "print cannot be negated", "leave it out")
            self._drop(call)
            return None
        if name.startswith("rego.metadata."):
            return self._metadata_step(name, call)
        if name in ("eq", "equal") and len(call.arguments) == 2:
            left, right = (self._term(argument) for argument in call.arguments)
            return ir.Unify(left, right, call.position, self._overrides, "=" if name == "eq" else "==")
        if not self._check_arity(function, call, output=True):
            return None
        arguments: Sequence[ir.Term] = [self._simple(argument) for argument in call.arguments]
        output = None
        if len(arguments) > self.arity(function):
            *arguments, output = arguments
        return ir.Invoke(function, tuple(arguments), output, call.position, self._overrides)

    def _drop(self, call: ast.Call) -> None:
        """Take note of the names that a call uses, which itself is not evaluated."""
        for name in {name for argument in call.arguments for name in _names(argument, closures=False)}:
            self._scopes.see(name)

    def _metadata_step(self, name: str, call: ast.Call) -> ir.Step:
        value = self._metadata(name)
        if not call.arguments:
            return ir.Check(value, call.position, self._overrides)
        return ir.Unify(self._term(call.arguments[0]), value, call.position, self._overrides)

    def _some_in(self, some: ast.SomeIn) -> ir.Step:
        with self._apart():
            domain = self._term(some.domain)
        if not isinstance(domain, ir.Path | ir.Local):
            domain = self._bind(domain, some.position, self._steps)
        self._declare_members(some)
        key = self._simple(some.key) if some.key is not None else self._scopes.fresh()
        value = self._term(some.value)
        if isinstance(domain, ir.Path):
            return ir.Unify(
                value, ir.Path(domain.root, (*domain.path, key), some.position), some.position, self._overrides
            )
        return ir.Unify(value, ir.Path(domain, (key,), some.position), some.position, self._overrides)

    def _declare_members(self, some: ast.SomeIn) -> None:
        """Declare what the members are called.

        A name that comprehensions in the domain use as well declares nothing: where a third one is in reach, OPA takes
        the two for one variable.
        """
        bound = pattern_names(some.value) + (pattern_names(some.key) if some.key is not None else [])
        used, outside = set(_names(some.domain)), set(_names(some.domain, closures=False))
        for name in bound:
            if name in outside:
                self._mistake(some.position, "rego_compile_error", f"var {name} assigned before")
            elif not name.startswith("$") and name not in used:
                self._declare(ast.Var(name, some.position), "declared")

    def _every(self, every: ast.Every) -> ir.Step:
        domain = self._scopes.fresh()
        value = self._term(every.domain)
        self._settle()
        self._steps.append(ir.Unify(domain, value, every.domain.position, self._overrides))
        overrides = self._overrides
        with self._closure(declared_names(every.body)) as steps:
            key = self._declare(every.key, "declared") if every.key is not None else None
            item = self._declare(every.value, "declared")
            self._body(every.body)
            for var in (every.key, every.value):
                self._check_used(var, every.body)
        return ir.ForAll(key, item, domain, tuple(steps), every.position, overrides)

    def _captured(self, part: ast.Literal) -> ir.Term:
        """Bind the expression of a template to a local."""
        local = self._scopes.fresh()
        overrides = tuple(filter(None, map(self._override, part.withs)))
        self._settle()
        self._overrides = overrides
        expression = part.expression
        if isinstance(expression, ast.Call) and expression.infix and expression.name in (("eq",), ("assign",)):
            self._mistake(part.position, "rego_parse_error", "unexpected unification in template-string expression")
            return local
        value = self._term(expression)  # type: ignore[arg-type]
        self._settle()
        self._steps.append(ir.Unify(local, value, part.position, overrides))
        return local

    # -- with

    def _override(self, clause: ast.With) -> ir.Override | None:
        target = self._target(clause.target)
        if target is None:
            message = "with keyword target must reference existing input, data, or a function"
            self._mistake(clause.position, "rego_type_error", message)
            return None
        replacement = self._as_function(clause.value)
        if replacement is None:
            return ir.Override(target, self._simple(clause.value))
        if not isinstance(target, ir.Function):
            self._mistake(clause.position, "rego_type_error", f"function {replacement} used as reference, not called")
        elif self.arity(target) != self.arity(replacement):
            self._mistake(clause.position, "rego_type_error", f"{target}: arity mismatch")
        return ir.Override(target, replacement)

    def _target(self, term: ast.Term) -> ir.Path | ir.Function | None:
        name = ".".join(_static_name(term) or ())
        if name in _NOT_REPLACEABLE or name.startswith("internal."):
            message = f'with keyword replacing built-in function: replacement of "{name}" invalid'
            self._mistake(term.position, "rego_compile_error", message)
            return ir.Path("input", ())
        function = self._as_function(term)
        if function is not None:
            return function
        lowered: ir.Term | None = None
        if isinstance(term, ast.Ref) and isinstance(term.head, ast.Var) and term.head.name in ("input", "data"):
            lowered = ir.Path(term.head.name, self._ref_path(term), term.position)
        elif isinstance(term, ast.Ref | ast.Var):
            lowered = self._term(term)
        if not isinstance(lowered, ir.Path) or isinstance(lowered.root, ir.Local):
            return None
        if not all(isinstance(part, ir.Const) for part in lowered.path):
            self._mistake(term.position, "rego_unsupported_error", "a target of with has to be a fixed path")
            return None
        return lowered

    def _as_function(self, term: ast.Term) -> ir.Function | None:
        """Give the function that a term names, if it does."""
        name = _static_name(term)
        if name is None or self._scopes.find(name[0]) is not None:
            return None
        if name[0] in self._globals:
            name = (*self._globals[name[0]], *name[1:])
        if name[0] == "data" and name[1:] in self._names.arities:
            return ir.Function(name[1:], builtin=False)
        dotted = ".".join(name)
        if name[0] not in ("data", "input") and builtin_arity(dotted) is not None:
            return self._builtin(dotted, term.position)
        return None


def _names(node: object, *, closures: bool = True) -> Iterator[str]:
    """Give the names that stand anywhere in some syntax, on request without those in comprehensions."""
    if isinstance(node, tuple):
        for item in node:
            yield from _names(item, closures=closures)
    elif isinstance(node, ast.Var):
        yield node.name
    elif isinstance(node, ast.Call):
        yield node.name[0]
        yield from _names(node.arguments, closures=closures)
    elif is_dataclass(node) and (closures or not isinstance(node, ast.Comprehension)):
        for child in ast.children(node):
            yield from _names(child, closures=closures)


def _static_name(term: ast.Term) -> tuple[str, ...] | None:
    if isinstance(term, ast.Var):
        return (term.name,)
    if not isinstance(term, ast.Ref) or not isinstance(term.head, ast.Var):
        return None
    names = [part.value for part in term.path if isinstance(part, ast.Scalar) and isinstance(part.value, str)]
    return (term.head.name, *names) if len(names) == len(term.path) else None


def _value_name(term: ast.Term) -> str:
    if isinstance(term, ast.Scalar):
        kinds = {bool: "boolean", str: "string", type(None): "null"}
        return kinds.get(type(term.value), "number")
    if isinstance(term, ast.Comprehension):
        return f"{term.kind}comprehension"
    return type(term).__name__.lower()
