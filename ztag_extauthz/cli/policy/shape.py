"""Whether a decision can be what `authorization/opa_result.py` reads, as far as the text of its rules tells.

What is told is certain: whatever is computed, and whatever another rule gives, counts as right.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from ztag_extauthz.authorization.engines.interface import decision_path
from ztag_extauthz.authorization.opa_result import MEMBERS
from ztag_extauthz.rego.errors import Mistake
from ztag_extauthz.rego.lower.names import fixed_path
from ztag_extauthz.rego.syntax.modules import parse_modules
from ztag_extauthz.rego.syntax.nodes import Array, Module, Object, Position, Rule, Scalar, Set, Template, Term

_NEAR = 0.8


def misshapen(modules: Mapping[str, str], data: Mapping[str, Any], decision: str) -> Iterator[Mistake]:
    """Yield why a decision is an error for some requests or for all, though the modules load."""
    path = decision_path(decision)
    parsed = parse_modules(modules).values()
    rules = [(module, rule, fixed_path(module, rule)) for module in parsed for rule in module.rules]
    inside = [each for each in rules if each[2][: len(path)] == path and each[1].arguments is None]
    if any(_is_computed(module, rule, found) for module, rule, found in inside if len(found) <= len(path) + 1):
        return
    complete = [(module, rule) for module, rule, found in inside if found == path]
    members: dict[str, list[tuple[Module, Rule]]] = {}
    for module, rule, found in inside:
        if len(found) > len(path):
            members.setdefault(found[len(path)], []).append((module, rule))
    if complete:
        yield from _of_rule(complete)
    elif members:
        is_package = any(module.package[: len(path)] == path for module in parsed)
        yield from _of_members(members, _given(data, path), decision, is_package=is_package)


def misspelt_headers(modules: Mapping[str, str], decision: str, owned: Collection[str]) -> Iterator[str]:
    """Yield a warning for each header that a decision sets, and that is nearly one of the owned ones."""
    owned = {name.lower() for name in owned}
    for module in parse_modules(modules).values():
        for rule in module.rules:
            for name in _headers(module, rule, decision_path(decision)):
                near = get_close_matches(name.lower(), owned, n=1, cutoff=_NEAR)
                if near and name.lower() not in owned:
                    place = f"{module.file}:{rule.position[0]}"
                    yield f"{place}: {name} is not among response.owned_headers (did you mean {near[0]}?)"


def _headers(module: Module, rule: Rule, path: tuple[str, ...]) -> Iterator[str]:
    """Yield the headers whose names are written out in a rule; those of a denial are for the caller."""
    found = fixed_path(module, rule)
    if found == path:
        for link in _links(rule):
            if _member(link.value, "allowed") is not False:
                yield from _names(_member(link.value, "headers"))
    elif found[:-1] == (*path, "headers"):
        yield found[-1]


def _member(value: Any, name: str) -> Any:
    """Return what an object has under a name: a term, or the value where it is written out."""
    pairs = value.pairs if isinstance(value, Object) else ()
    found = next((each for key, each in pairs if isinstance(key, Scalar) and key.value == name), None)
    return found.value if isinstance(found, Scalar) else found


def _names(value: Any) -> list[str]:
    """Return the names of an object that are written out."""
    pairs = value.pairs if isinstance(value, Object) else ()
    return [name.value for name, _ in pairs if isinstance(name, Scalar) and isinstance(name.value, str)]


def _is_computed(module: Module, rule: Rule, found: Sequence[str]) -> bool:
    """Tell whether what a rule gives is no complete value under a fixed name."""
    return rule.key is not None or len(module.package) + len(rule.ref) != len(found)


def _given(data: Any, path: Sequence[str]) -> frozenset[str]:
    """Return the members that base documents give a package."""
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return frozenset(data) if isinstance(data, dict) else frozenset()


def _of_rule(rules: Sequence[tuple[Module, Rule]]) -> Iterator[Mistake]:
    for module, rule in rules:
        for link in _links(rule):
            yield from _of_value(module, link)
    yield from _undefined(rules, "the decision")


def _of_value(module: Module, rule: Rule) -> Iterator[Mistake]:
    value = rule.value
    if isinstance(value, Array | Set | Template) or (isinstance(value, Scalar) and not isinstance(value.value, bool)):
        yield _mistake(module, rule.position, "the decision is neither a boolean nor an object", "")
    elif isinstance(value, Object):
        names = _names(value)
        if len(names) == len(value.pairs):
            yield from _of_names(module, value.position, names)


def _of_names(module: Module, position: Position, names: Sequence[str]) -> Iterator[Mistake]:
    missing = sorted(MEMBERS - set(names))
    for name in names:
        if name not in MEMBERS and (near := get_close_matches(name, missing, n=1, cutoff=_NEAR)):
            yield _mistake(module, position, f"nothing reads `{name}` of the decision", f"did you mean {near[0]}?")
    if "allowed" not in names:
        yield _mistake(module, position, "the decision has no `allowed`: it is an error", "add allowed: true or false")


def _of_members(
    members: Mapping[str, Sequence[tuple[Module, Rule]]], given: frozenset[str], decision: str, *, is_package: bool
) -> Iterator[Mistake]:
    """Yield what is wrong with an object whose members are rules."""
    module, first = next(iter(members.values()))[0]
    if "allowed" in members:
        yield from _undefined(members["allowed"], "`allowed`")
    elif is_package and "allowed" not in given:
        remedy = f"name a rule of it: {', '.join(f'{decision}/{name}' for name in members)}"
        yield _mistake(module, module.position, "the decision is a package without `allowed`: it is an error", remedy)
    if not is_package:
        yield from _of_names(module, first.position, list(members))


def _undefined(rules: Sequence[tuple[Module, Rule]], what: str) -> Iterator[Mistake]:
    """Yield that a decision is undefined wherever it does not allow: nothing denies."""
    links = [link for _, rule in rules for link in _links(rule)]
    if all(_allows(link.value) and link.body and not link.default for link in links):
        module, rule = rules[0]
        message = f"{what} is undefined where no rule holds: an error, not a denial"
        yield _mistake(module, rule.position, message, "give it a default that denies")


def _allows(value: Term | None) -> bool:
    if isinstance(value, Object):
        return any(isinstance(name, Scalar) and name.value == "allowed" and _allows(each) for name, each in value.pairs)
    return value is None or (isinstance(value, Scalar) and value.value is True)


def _links(rule: Rule) -> Iterator[Rule]:
    """Yield a rule and what stands behind its `else`."""
    link: Rule | None = rule
    while link is not None:
        yield link
        link = link.otherwise


def _mistake(module: Module, position: Position, message: str, remedy: str) -> Mistake:
    line, column = position
    return Mistake(module.file, line, column, "ztag_decision_error", message, module.line(line), remedy)
