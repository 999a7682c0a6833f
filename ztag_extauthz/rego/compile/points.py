"""Point look-ups: one member of a rule that gives a set or an object, without making all of it.

`grants[input.user]` with `grants[user] := role if some user, role in data.roles` only looks up one role. That is done
where each definition, its key being known, goes through nothing; otherwise the whole is made, once.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ztag_extauthz.rego.analysis.tree import Group
from ztag_extauthz.rego.compile.emit import Writer
from ztag_extauthz.rego.compile.rules import RuleCompiler
from ztag_extauthz.rego.lower.ir import Const, Definition, Invoke, Local, Path, Step, Term, locals_of, walk
from ztag_extauthz.rego.lower.names import find_builtin

if TYPE_CHECKING:
    from ztag_extauthz.rego.compile.policy import PolicyCompiler

_MAX_UNINDEXED: Final = 8


def by_key(policy: "PolicyCompiler", group: Group) -> Group | None:
    """Give a rule as a function of its key; None where that is no gain."""
    made: list[Definition] = []
    for definition in group.definitions:
        wanted, value = _member(definition)
        if wanted is None or value is None:
            return None
        made.append(replace(definition, keys=(), member=None, arguments=(wanted,), value=value))
    if group.kind not in ("set", "object") or any(map(_goes_through, made)):
        return None
    if len(made) > _MAX_UNINDEXED and policy.choose(made)[0] is None:
        return None
    return Group(group.number, group.path, "function", made)


def compile_point(policy: "PolicyCompiler", group: Group, name: str) -> None:
    """Write the function that gives the member for a key; `group` is what `by_key` gave."""
    member, number = f"member_{group.number}", f"n{group.number}"
    RuleCompiler(policy, group, by_key=True).compile(member)
    writer = Writer(policy.unit, name, ["s", "a0"], "")
    policy.unit.table[number] = group.number
    writer.line(f"own = ({number}, a0 if a0.__class__ is str else key(a0))")
    writer.line("v = s.memo.get(own, P)")
    writer.line("if v is not P: return v")
    # Once the whole has been made, that is looked into: a number may find a name in base documents, but not here.
    writer.line(f"v = s.memo.get({number}, P)")
    writer.line("if v is not P: return get(v, a0)")
    writer.line(f"v = {member}(s, a0)")
    writer.line("s.memo[own] = v")
    writer.finish("return v", shared=False)


def _member(definition: Definition) -> tuple[Term | None, Term | None]:
    """Give the key and the value of what a definition adds."""
    if definition.member is not None:
        wanted = value = None if definition.keys else definition.member
    else:
        wanted, value = definition.keys[0] if len(definition.keys) == 1 else None, definition.value
    return (wanted, value) if isinstance(wanted, Local | Const) else (None, None)


def _goes_through(definition: Definition) -> bool:
    """Tell whether a body has loops, once its arguments are known."""
    bound: set[int] = set().union(*map(locals_of, definition.arguments or ()))
    for step in definition.body:
        if isinstance(step, Invoke) and step.function.builtin and find_builtin(step.function.path[0]).relation:
            return True
        if any(not locals_of(path, closures=False) <= bound for path in _paths(step)):
            return True
        bound |= locals_of(step, closures=False)
    return False


def _paths(step: Step) -> list[Path]:
    return [node for node in walk(step) if isinstance(node, Path)]
