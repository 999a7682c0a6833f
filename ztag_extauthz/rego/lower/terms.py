"""Terms of the syntax to terms of the compiler: names resolved, calls and operands taken out as steps of their own.

What a call needs is computed before it, in the same body: also for a negated call, so that an undefined operand
makes the whole body undefined and not the negation true. That is what OPA does, and what `not f(input.x)` means.

The order is OPA's, too, as an undefined reference hides the errors behind it: first the calls within a term, each with
what its own arguments need, then the references and comprehensions beside them. But OPA tries no rule at all whose body
has a reference like `input.x` that is undefined: these come first.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from ztag_extauthz.rego.builtins.interface import REGISTRY
from ztag_extauthz.rego.builtins.signatures import DEPRECATED
from ztag_extauthz.rego.lower import ir
from ztag_extauthz.rego.lower.names import Mistakes, Names, builtin_arity
from ztag_extauthz.rego.lower.scopes import Scopes, declared_names
from ztag_extauthz.rego.syntax import nodes as ast
from ztag_extauthz.rego.syntax.nodes import Position
from ztag_extauthz.rego.values import order_key

if TYPE_CHECKING:
    from ztag_extauthz.rego.syntax.nodes import Module

_TEMPLATE = ir.Function(("internal.template_string",), builtin=True)
_REMEDIES: Final = {"assign": "write x := y", "eq": "write x = y", "http.send": "name the hosts that it may ask"}
_OTHER_REMEDY: Final = "leave it out, or give what it would answer as data or input"


class TermLowerer:
    """Lowers the terms of one rule. Steps that a term needs go to the end of the body in hand."""

    def __init__(self, module: "Module", names: Names, mistakes: Mistakes) -> None:
        self._module = module
        self._names = names
        self._globals = names.globals(module)
        self._mistakes = mistakes
        self._scopes = Scopes()
        self._steps: list[ir.Step] = []
        self._later: list[ir.Step] = []  # what the expression in hand needs, behind the calls within it
        self._nested = False  # in a body within a term
        self._overrides: ir.Overrides = ()
        self._unused: list[tuple[ir.Local | None, ast.Var]] = []  # what `some x` declares, until it is used

    def _mistake(self, position: Position, code: str, message: str, remedy: str = "") -> None:
        self._mistakes.add(self._module, position, code, message, remedy)

    def _body(self, body: ast.Body) -> list[ir.Step]:
        raise NotImplementedError

    def _simple(self, term: ast.Term) -> ir.Term:
        """Give a term that is known once its locals are: references and comprehensions become locals."""
        lowered = self._term(term)
        if not isinstance(lowered, ir.Path | ir.Comp):
            return lowered
        first = isinstance(lowered, ir.Path) and not self._nested and not self._overrides and _is_fixed_input(lowered)
        return self._bind(lowered, term.position, self._steps if first else self._later)

    def _bind(self, term: ir.Term, position: Position, steps: list[ir.Step]) -> ir.Local:
        local = self._scopes.fresh()
        steps.append(ir.Unify(local, term, position, self._overrides))
        return local

    def _settle(self) -> None:
        """Add what the expression in hand has needed behind its calls."""
        self._steps += self._later
        self._later = []

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Lower an expression of its own within another one: what it needs comes right before it."""
        outer, self._later = self._later, []
        yield
        self._settle()
        self._later = outer

    def _term(self, term: ast.Term) -> ir.Term:
        """Give a term whose parts are simple; itself it may be a reference or a comprehension."""
        match term:  # the commonest first
            case ast.Scalar():
                return ir.Const(term.value)
            case ast.Var():
                return self._var(term)
            case ast.Ref():
                return self._ref(term)
            case ast.Call():
                return self._nested_call(term)
            case ast.Array():
                return ir.ListTerm(tuple(self._simple(item) for item in term.items))
            case _:
                return self._collection(term)

    def _collection(self, term: ast.Set | ast.Object | ast.Comprehension | ast.Template) -> ir.Term:
        match term:
            case ast.Set():
                return ir.SetTerm(tuple(self._simple(item) for item in term.items))
            case ast.Object():
                return self._object(term)
            case ast.Comprehension():
                return self._comprehension(term)
            case ast.Template():
                return self._template(term)

    def _object(self, term: ast.Object) -> ir.Term:
        # Of two pairs whose keys are written alike the last one stands, as where OPA reads them. Like there, the loops
        # and calls in the values are in the order of the keys.
        own = [ast.plain(key) for key, _ in term.pairs]
        last = {form: value for form, (_, value) in zip(own, term.pairs, strict=True)}
        first = {form: key for form, (key, _) in zip(reversed(own), reversed(term.pairs), strict=True)}
        forms = sorted(last, key=lambda form: _key_order(first[form])) if len(last) > 1 else last
        return ir.ObjectTerm(tuple((self._simple(first[form]), self._simple(last[form])) for form in forms))

    def _var(self, var: ast.Var) -> ir.Term:
        local = self._scopes.find(var.name)
        if local is None and var.name in self._globals and not self._scopes.hides(var.name):
            return self._global(var.name, (), var.position)
        return self._scopes.use(var.name)

    def _global(self, name: str, rest: tuple[ir.Term, ...], position: Position) -> ir.Path:
        root, *path = self._globals[name]
        return ir.Path(root, (*map(ir.Const, path), *rest), position)

    def _ref(self, ref: ast.Ref) -> ir.Term:
        head = ref.head
        if isinstance(head, ast.Var) and head.name in ("input", "data") and self._scopes.find(head.name) is None:
            return ir.Path(head.name, self._ref_path(ref), ref.position)
        outer, self._later = self._later, []
        base = self._term(head)
        needs, self._later = self._later, outer
        if isinstance(base, ir.Path | ir.Local) or not ref.path:
            self._later += needs
        path = self._ref_path(ref)
        if isinstance(base, ir.Path):
            return ir.Path(base.root, (*base.path, *path), ref.position)
        if not path:
            return base
        if not isinstance(base, ir.Local):
            self._steps += needs
            base = self._bind(base, ref.position, self._steps)
        return ir.Path(base, path, ref.position)

    def _ref_path(self, ref: ast.Ref) -> tuple[ir.Term, ...]:
        return tuple(self._simple(part) for part in ref.path)

    # -- calls

    def _function(self, call: ast.Call) -> ir.Function | None:
        """Find what is called; None, and a mistake, where there is no such function."""
        name = call.name
        if not call.infix and self._scopes.find(name[0]) is not None:
            self._mistake(call.position, "rego_compile_error", f"called function {'.'.join(name)} shadowed")
            return None
        if call.infix and name[0] == "internal":
            return ir.Function((".".join(name),), builtin=True)
        if not call.infix and name[0] in self._globals and not self._scopes.hides(name[0]):
            name = (*self._globals[name[0]], *name[1:])
        if name[0] == "data" and name[1:] in self._names.arities:
            return ir.Function(name[1:], builtin=False)
        dotted = ".".join(name)
        if name[0] != "data" and builtin_arity(dotted) is not None:
            return self._builtin(dotted, call.position)
        self._mistake(call.position, "rego_type_error", f"undefined function {dotted}")
        return None

    def _builtin(self, name: str, position: Position) -> ir.Function | None:
        if name in DEPRECATED:
            message = f"deprecated built-in function calls in expression: {name}"
            self._mistake(position, "rego_type_error", message)
            return None
        served = name in REGISTRY and (name != "http.send" or self._names.reaches_out)
        known = served or name in self._names.replaced
        if not known and not name.startswith(("rego.metadata.", "print", "internal.")):
            message = f"built-in function {name} is not supported"
            self._mistake(position, "rego_unsupported_error", message, _REMEDIES.get(name, _OTHER_REMEDY))
            return None
        return ir.Function((name,), builtin=True)

    def arity(self, function: ir.Function) -> int:
        if function.builtin:
            return builtin_arity(function.path[0]) or 0
        return self._names.arities[function.path]

    def _check_arity(self, function: ir.Function, call: ast.Call, *, output: bool) -> bool:
        arity, count = self.arity(function), len(call.arguments)
        if count == arity or (output and count == arity + 1):
            return True
        have = f"function {function} has arity {arity}, got {count} argument{'s' if count != 1 else ''}"
        self._mistake(call.position, "rego_type_error", have)
        return False

    def _nested_call(self, call: ast.Call) -> ir.Term:
        function = self._function(call)
        if function is None:
            return ir.Const(None)
        if not self._check_arity(function, call, output=False):
            return ir.Const(None)
        if function.builtin and function.path[0].startswith("rego.metadata."):
            return self._metadata(function.path[0])
        with self._apart():
            arguments = tuple(self._simple(argument) for argument in call.arguments)
        local = self._scopes.fresh()
        self._steps.append(ir.Invoke(function, arguments, local, call.position, self._overrides))
        return local

    def _metadata(self, name: str) -> ir.Term:
        raise NotImplementedError

    # -- bodies within terms

    @contextmanager
    def _closure(self, hidden: frozenset[str]) -> Iterator[list[ir.Step]]:
        """Collect the steps of a body within a term, in a scope of its own."""
        outer = self._steps, self._later, self._overrides, self._nested
        self._steps, self._later, self._overrides, self._nested = [], [], (), True
        self._scopes.push(hidden)
        yield self._steps
        self._settle()
        self._scopes.pop()
        self._steps, self._later, self._overrides, self._nested = outer

    def _comprehension(self, term: ast.Comprehension) -> ir.Comp:
        with self._closure(declared_names(term.body)) as steps:
            self._body(term.body)
            key = self._simple(term.key) if term.key is not None else None
            value = self._simple(term.value)
        return ir.Comp(term.kind, key, value, tuple(steps))

    def _template(self, template: ast.Template) -> ir.Term:
        with self._apart():
            parts = tuple(self._template_part(part) for part in template.parts)
        local = self._scopes.fresh()
        self._steps.append(ir.Invoke(_TEMPLATE, (ir.ListTerm(parts),), local, template.position, self._overrides))
        return local

    def _template_part(self, part: ast.Scalar | ast.Literal) -> ir.Term:
        """Give a string, or a set that is empty where the expression is undefined."""
        if isinstance(part, ast.Scalar):
            return ir.Const(part.value)
        expression = part.expression
        if isinstance(expression, ast.Some | ast.SomeIn | ast.Every) or part.negated:
            self._mistake(part.position, "rego_parse_error", "unexpected expression in template-string")
            return ir.Const(None)
        if isinstance(expression, ast.Scalar) and not part.withs:
            return ir.Const(expression.value)
        if isinstance(expression, ast.Var):
            var = self._var(expression)
            if isinstance(var, ir.Local):
                return ir.SetTerm((var,))
        with self._closure(frozenset()) as steps:
            value = self._captured(part)
        return self._bind(ir.Comp("set", None, value, tuple(steps)), part.position, self._later)

    def _captured(self, part: ast.Literal) -> ir.Term:
        raise NotImplementedError


def _key_order(name: ast.Term) -> tuple[bool, Any]:
    return (False, order_key(name.value)) if isinstance(name, ast.Scalar) else (True, 0)


def _is_fixed_input(path: ir.Path) -> bool:
    return path.root == "input" and all(isinstance(part, ir.Const) for part in path.path)
