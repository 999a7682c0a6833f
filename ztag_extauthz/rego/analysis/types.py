"""OPA's types, and its question whether two of them can have a value in common."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final

from ztag_extauthz.rego.values import KeyForm, Value, is_number, key, type_name, unkey

_PLAIN: Final = ("null", "boolean", "number", "string", "nothing")


@dataclass(frozen=True, slots=True)
class Type:
    """A type. `any` without options is every value; arrays and objects may have fixed and further members."""

    kind: str
    items: "tuple[Type, ...]" = ()
    pairs: "tuple[tuple[KeyForm, Type], ...]" = ()
    dynamic: "Type | None" = None
    options: "tuple[Type, ...]" = ()

    def __str__(self) -> str:
        match self.kind:
            case "any":
                return "any<" + ", ".join(map(str, self.options)) + ">" if self.options else "any"
            case "array":
                fixed = "<" + ", ".join(map(str, self.items)) + ">" if self.items else ""
            case "object":
                pairs = ", ".join(f"{unkey(form)}: {member}" for form, member in self.pairs)
                fixed = f"<{pairs}>" if pairs else ""
                return "object" + fixed + (f"[any: {self.dynamic}]" if self.dynamic else "")
            case _:
                fixed = ""
        return self.kind + fixed + (f"[{self.dynamic}]" if self.dynamic else "")


ANY: Final = Type("any")


def union(types: Iterable[Type]) -> Type:
    options: dict[Type, None] = {}
    for item in types:
        if item == ANY:
            return ANY
        options.update(dict.fromkeys(item.options or (item,)))
    return next(iter(options)) if len(options) == 1 else Type("any", options=tuple(options)) if options else ANY


_MAX_PARTS: Final = 1_000


def held(found: Type) -> Type:
    """Give up the members of a type that has too many: rules that hold one another twice double it at each step."""
    pending, count = [found], 0
    while pending:
        part = pending.pop()
        count += 1
        if count > _MAX_PARTS:
            return Type(found.kind, dynamic=ANY)
        pending += part.items
        pending += part.options
        pending += [member for _, member in part.pairs]
        pending += [part.dynamic] if part.dynamic is not None else []
    return found


def type_of(value: Value) -> Type:
    """Give the type of a constant."""
    kind = value.__class__
    if kind is list:
        return Type("array", items=tuple(map(type_of, value)))
    if kind is dict:
        return Type("object", pairs=tuple((form, type_of(member)) for form, member in value.items()))
    if kind is frozenset:
        return Type("set", dynamic=union(type_of(unkey(form)) for form in value))
    return Type(type_name(value))


def unifies(left: Type, right: Type) -> bool:
    """Tell whether OPA takes two types for ones that may be equal."""
    for one, other in ((left, right), (right, left)):
        if one.kind == "any":
            return not one.options or any(unifies(option, other) for option in one.options)
    if left.kind != right.kind:
        return False
    if left.kind == "set":
        return left.dynamic is None or right.dynamic is None or unifies(left.dynamic, right.dynamic)
    if left.kind in ("array", "object"):
        return _fits(left, right) and _fits(right, left, further=True) and _dynamics(left, right)
    return True


def accepts(parameter: Type, given: Type) -> bool:
    """Tell whether a value may be an argument: of an object it is enough that what it has is known."""
    if given.kind == parameter.kind == "object":
        return _fits(Type("object", pairs=given.pairs), parameter)
    if parameter.options:
        return any(accepts(option, given) for option in parameter.options)
    return unifies(parameter, given)


def _fits(left: Type, right: Type, *, further: bool = False) -> bool:
    """Compare the fixed members of one type, or `further` alone: what the other has not. All twice would double."""
    fixed: dict[KeyForm, Type] = {**dict(enumerate(right.items)), **dict(right.pairs)}
    for place, item in (*enumerate(left.items), *left.pairs):
        if further and place in fixed:
            continue
        other = fixed.get(place, right.dynamic)
        if other is None or not unifies(item, other):
            return False
    return True


def _dynamics(left: Type, right: Type) -> bool:
    return left.dynamic is None or right.dynamic is None or unifies(left.dynamic, right.dynamic)


def select(whole: Type, wanted: Value) -> Type | None:
    """Give the type of a member under a known key, or None if there can be none."""
    if whole.kind == "any":
        found = [select(option, wanted) for option in whole.options]
        return union(item for item in found if item is not None) if any(found) else None if whole.options else ANY
    if whole.kind == "array":
        if wanted.__class__ is int and 0 <= wanted < len(whole.items):
            return whole.items[wanted]
        return whole.dynamic if is_number(wanted) else None
    if whole.kind == "object":
        return dict(whole.pairs).get(key(wanted), whole.dynamic)
    if whole.kind != "set" or whole.dynamic is None or not unifies(whole.dynamic, type_of(wanted)):
        return None
    return whole.dynamic


def keys(whole: Type) -> Type:
    """Give the type of what the members of a collection are found by."""
    if whole.kind == "array":
        return Type("number")
    if whole.kind == "set":
        return whole.dynamic or ANY
    if whole.kind == "object" and whole.dynamic is None:
        return union(type_of(unkey(form)) for form, _ in whole.pairs)
    return ANY


def members(whole: Type) -> Type | None:
    """Give the type of all members together, or None if there can be none."""
    if whole.kind == "any":
        found = [members(option) for option in whole.options]
        return union(item for item in found if item is not None) if any(found) else None if whole.options else ANY
    if whole.kind not in ("array", "object", "set"):
        return None
    parts = [*whole.items, *(member for _, member in whole.pairs), *([whole.dynamic] if whole.dynamic else [])]
    return union(parts) if parts else ANY  # an empty collection may be looked through


# -- the notation of signatures


@cache
def parse_type(text: str) -> Type:
    """Read `array<any, string>[number]`, `object[string: any]`, `any<string, number>` and the like."""
    for kind in _PLAIN:
        if text == kind:
            return Type(kind)
    kind = text.split("<", maxsplit=1)[0].split("[", maxsplit=1)[0]
    rest = text[len(kind) :]
    fixed, dynamic = ("", rest) if not rest.startswith("<") else _bracketed(rest)
    parts = split(fixed)
    further = split(dynamic[1:-1], ":")[-1] if dynamic else ""
    inner = parse_type(further) if further else None
    if kind == "any":
        return Type("any", options=tuple(map(parse_type, parts)))
    if kind == "object":
        pairs = (split(part, ":") for part in parts)
        return Type("object", pairs=tuple((name, parse_type(member)) for name, member in pairs), dynamic=inner)
    return Type(kind, items=tuple(map(parse_type, parts)), dynamic=inner)


def _bracketed(text: str) -> tuple[str, str]:
    depth = 0
    for index, sign in enumerate(text):
        depth += (sign == "<") - (sign == ">")
        if depth == 0:
            return text[1:index], text[index + 1 :]
    raise ValueError(text)


def split(text: str, separator: str = ",") -> list[str]:
    """Split at a sign outside all brackets."""
    depth, parts, part = 0, [], ""
    for character in text:
        depth += (character in "<[(") - (character in ">])")
        if character == separator and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += character
    return [*parts, part.strip()] if part.strip() else parts
