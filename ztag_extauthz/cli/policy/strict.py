"""What OPA's strict mode finds beyond mistakes: imports, variables and arguments that nothing uses.

A name that an inner body declares anew counts as used in the outer one: what is told is unused for certain.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ztag_extauthz.rego.errors import Mistake
from ztag_extauthz.rego.lower.scopes import pattern_names
from ztag_extauthz.rego.syntax.modules import parse_module
from ztag_extauthz.rego.syntax.nodes import Body, Call, Comprehension, Every, Module, Position, Rule, Var, children


def unused(modules: Mapping[str, str]) -> Iterator[Mistake]:
    """Yield what is unused in modules that load, in the order of files and lines."""
    for file, text in modules.items():
        module = parse_module(file, text)
        found = [*_imports(module), *(each for rule in module.rules for each in _rule(rule))]
        for (line, column), message in sorted(set(found)):
            yield Mistake(file, line, column, "rego_compile_error", message, module.line(line))


def _imports(module: Module) -> Iterator[tuple[Position, str]]:
    uses = _uses(*module.rules)
    for item in module.imports:
        if item.path[0] in {"data", "input"} and not uses[item.alias]:
            name = f" as {item.alias}" if item.alias != item.path[-1] else ""
            yield item.position, f"import {'.'.join(item.path)}{name} unused"


def _rule(rule: Rule) -> Iterator[tuple[Position, str]]:
    uses = _uses(rule)
    for argument in rule.arguments or ():
        for name in pattern_names(argument):
            if _unused(name, uses):
                hint = "(hint: use _ (wildcard variable) instead)"
                yield argument.position, f"unused argument {name}. {hint}"
    link: Rule | None = rule
    while link is not None:
        heads = [*link.ref, *(term for term in (link.key, link.value) if term is not None)]
        yield from _body(link.body, _uses(*heads, *link.body))
        yield from (each for node in (*heads, *link.body) for each in _inner(node))
        link = link.otherwise


def _body(body: Body, uses: Counter[str]) -> Iterator[tuple[Position, str]]:
    for literal in body:
        call = literal.expression
        if isinstance(call, Call) and call.infix and call.name == ("assign",):
            for name in pattern_names(call.arguments[0]):
                if _unused(name, uses):
                    yield literal.position, f"assigned var {name} unused"


def _inner(node: Any) -> Iterator[tuple[Position, str]]:
    """Yield what is unused in the bodies within a node."""
    if isinstance(node, Comprehension | Every):
        yield from _body(node.body, _uses(node))
    for child in children(node):
        yield from _inner(child)


def _unused(name: str, uses: Counter[str]) -> bool:
    """Tell whether a name stands nowhere but where it is declared; a wildcard is made to be unused."""
    return not name.startswith("$") and uses[name] <= 1


def _uses(*nodes: Any) -> Counter[str]:
    """Count how often each name stands in some nodes."""
    counts: Counter[str] = Counter()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Var):
            counts[node.name] += 1
        elif isinstance(node, Call):
            counts[node.name[0]] += 1
        waiting += children(node)
    return counts
