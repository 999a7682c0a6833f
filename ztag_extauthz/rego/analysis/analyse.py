"""Modules to a tree of rules, each in an order in which it can be evaluated; or every mistake that was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ztag_extauthz.rego.analysis.check_types import check_types
from ztag_extauthz.rego.analysis.open_sets import check_open_sets, check_query, is_open
from ztag_extauthz.rego.analysis.recursion import check_recursion
from ztag_extauthz.rego.analysis.safety import Unsafe, order_definition, order_steps
from ztag_extauthz.rego.analysis.tree import Tree
from ztag_extauthz.rego.builtins import catalogue as _catalogue  # noqa: F401 (registers the built-ins)
from ztag_extauthz.rego.errors import PolicyError
from ztag_extauthz.rego.lower.ir import Definition, ObjectTerm, Override, SetTerm, Steps, walk
from ztag_extauthz.rego.lower.names import Mistakes, Names, check_imports
from ztag_extauthz.rego.lower.rules import lower_query, lower_rule
from ztag_extauthz.rego.syntax.modules import parse_modules, parse_query
from ztag_extauthz.rego.syntax.nodes import Module, Rule
from ztag_extauthz.rego.values import Value

_NOTED: Final = (Override, SetTerm, ObjectTerm)


@dataclass(frozen=True, slots=True)
class Analysis:
    modules: Mapping[str, Module]
    names: Names
    tree: Tree
    overrides: list[Override]


def analyse(texts: Mapping[str, str], *, reaches_out: bool = False) -> Analysis:
    """Read and check modules; a `PolicyError` holds what is wrong with all of them."""
    modules = parse_modules(texts)
    names, mistakes, tree = Names(modules.values(), reaches_out=reaches_out), Mistakes(), Tree()
    for module in modules.values():
        tree.node(module.package, package=True)
        check_imports(module, mistakes)
    found: list[Any] = []
    for module in modules.values():
        for rule in module.rules:
            definition = _ordered(rule, module, names, mistakes, list(modules.values()))
            found += [node for node in definition.nodes() if node.__class__ in _NOTED]
            tree.add(definition, module, mistakes)
    tree.check(dict(modules), mistakes)
    _raise(mistakes)
    order = check_recursion(tree, modules, mistakes)
    _raise(mistakes)
    check_types(tree, order, modules, mistakes)
    overrides = [node for node in found if isinstance(node, Override)]
    if any(map(is_open, found)):
        check_open_sets(tree, order, overrides, modules, mistakes)
    _raise(mistakes)
    return Analysis(modules, names, tree, overrides)


def analyse_query(text: str, analysis: Analysis) -> tuple[Steps, list[str], list[Override]]:
    """Read and check a query; gives its steps, the names of its locals, and its overrides."""
    body = parse_query(text)
    mistakes, unsafe = Mistakes(), Unsafe()
    module = Module("query", (), (), (), tuple(text.split("\n")), (1, 1))
    analysis.names.exports.setdefault((), set())
    steps, names = lower_query(body, module, analysis.names, mistakes)
    ordered, _ = order_steps(tuple(steps), set(), unsafe)
    _tell(unsafe, names, module, mistakes)
    _raise(mistakes)
    overrides = [node for step in ordered for node in walk(step) if isinstance(node, Override)]
    modules = {**analysis.modules, "query": module}
    check_query(ordered, analysis.tree, [*analysis.overrides, *overrides], modules, mistakes)
    _raise(mistakes)
    return ordered, names, overrides


def _raise(mistakes: Mistakes) -> None:
    if mistakes.found:
        raise PolicyError(list(dict.fromkeys(mistakes.found)))


def _ordered(rule: Rule, module: Module, names: Names, mistakes: Mistakes, modules: list[Module]) -> Definition:
    known = len(mistakes.found)
    definition = lower_rule(rule, module, names, mistakes, annotations_of(rule, module, modules))
    # A step that could not be made binds nothing: what is unsafe then is no mistake of its own.
    return _order(definition, module, mistakes if len(mistakes.found) == known else Mistakes())


def _order(definition: Definition, module: Module, mistakes: Mistakes) -> Definition:
    unsafe = Unsafe()
    ordered = order_definition(definition, unsafe)
    _tell(unsafe, definition.names, module, mistakes)
    if ordered.otherwise is not None:
        ordered = replace(ordered, otherwise=_order(ordered.otherwise, module, mistakes))
    return ordered


def _tell(unsafe: Unsafe, names: Sequence[str], module: Module, mistakes: Mistakes) -> None:
    for place, message in unsafe.messages(names):
        mistakes.add(module, place, "rego_unsafe_var_error", message)
    if not unsafe.found:
        for place, message in unsafe.misplaced():
            mistakes.add(module, place, "rego_unsupported_error", message, "put it behind what it needs")


def annotations_of(rule: Rule, module: Module, modules: list[Module]) -> list[Value]:
    """Give the annotations that concern a rule, its own first, then those of its packages."""
    own = [*module.package, *(str(getattr(part, "value", "")) for part in rule.ref)]
    chain: list[Value] = []
    first: Value = {"path": own}
    if rule.annotations:
        first["annotations"] = {"scope": "rule", **rule.annotations[-1]}
    chain.append(first)
    chain += [
        {"path": list(other.package), "annotations": note}
        for other in modules
        for note in other.annotations
        if other.package == module.package
        or (note.get("scope") == "subpackages" and module.package[: len(other.package)] == other.package)
    ]
    return chain
