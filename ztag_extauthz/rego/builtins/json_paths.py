"""`json.filter`, `json.remove` and `json.patch`: documents by paths (`a/b/0`, `/a/b`, or `["a", "b", 0]`)."""

import re
from typing import Any, Final

from ztag_extauthz.rego.builtins.interface import MAX_SIZE, Context, array, builtin, check_size, obj, type_error
from ztag_extauthz.rego.builtins.objects import child
from ztag_extauthz.rego.errors import BuiltinError, OperandError
from ztag_extauthz.rego.values import UNDEFINED, Value, equal, int64, key, make_set, members, type_name, unkey

Path = list[Value]
Tree = dict[Any, Any]

_INDEX: Final = re.compile(r"-?[0-9]{1,18}")


def _path(value: Value) -> Path:
    if value.__class__ is list:
        return value
    if value.__class__ is not str:
        raise OperandError(
            "operand 2 must be one of {set, array} containing string paths or array of path segments "
            f"but got {type_name(value)}"
        )
    if not value:
        return []
    return [part.replace("~1", "/").replace("~0", "~") for part in value.lstrip("/").split("/")]


def _tree(paths: Value) -> Tree:
    """Put paths together: an object of objects, null where a path ends."""
    if paths.__class__ not in (list, frozenset):
        raise type_error(2, paths, "set", "array")
    root: Tree = {}
    values: list[Value] = paths if paths.__class__ is list else members(paths)  # type: ignore[arg-type]
    for value in values:
        _plant(root, _path(value))
    return root


def _plant(node: Tree, path: Path) -> None:
    for place in path[:-1]:
        following = node.setdefault(key(place), {})
        if following is None:
            return
        node = following
    if path:
        node[key(path[-1])] = None


@builtin("json.filter")
def keep(document: Value, paths: Value) -> Value:
    return _kept(obj(document, 1), _tree(paths))


def _kept(value: Value, tree: Tree | None) -> Value:
    kind = value.__class__
    if tree is None:
        return value
    if kind is dict:
        return {form: _kept(member, tree[form]) for form, member in value.items() if form in tree}
    if kind is list:
        return [_kept(member, tree[str(place)]) for place, member in enumerate(value) if str(place) in tree]
    if kind is frozenset:
        return make_set([_kept(unkey(form), tree[form]) for form in value if form in tree])
    return value


@builtin("json.remove")
def remove(document: Value, paths: Value) -> Value:
    return _without(obj(document, 1), _tree(paths))


def _without(value: Value, tree: Tree) -> Value:
    kind = value.__class__
    if kind is dict:
        pairs = [(form, member, tree.get(form, UNDEFINED)) for form, member in value.items()]
        return {form: _rest(member, below) for form, member, below in pairs if below is not None}
    if kind is list:
        items = [(member, tree.get(str(place), UNDEFINED)) for place, member in enumerate(value)]
        return [_rest(member, below) for member, below in items if below is not None]
    if kind is frozenset:
        below_of = [(unkey(form), tree.get(form, UNDEFINED)) for form in value]
        return make_set([_rest(member, below) for member, below in below_of if below is not None])
    return value


def _rest(value: Value, tree: Any) -> Value:
    return value if tree is UNDEFINED else _without(value, tree)


@builtin("json.patch", context=True)
def patch(context: Context, document: Value, operations: Value) -> Value:
    copied = 0
    for operation in array(operations, 2):
        context.check()
        if operation.__class__ is not dict:
            raise BuiltinError("must be an array of JSON-Patch objects, but at least one element is not an object")
        before, document = document, _operated(document, operation)
        if operation["op"] == "copy":
            # Copies of copies double a document at each step, though they share their parts.
            copied += _count(_found(before, _path(operation["from"])), MAX_SIZE - copied)
            check_size(copied)
    if document is UNDEFINED:
        raise BuiltinError("nothing is left of the document")  # OPA crashes
    return document


def _count(value: Value, limit: int) -> int:
    """Count the parts of a value, up to a little beyond a limit."""
    pending, count = [value], 0
    while pending and count <= limit:
        value = pending.pop()
        count += 1
        if value.__class__ is list:
            pending += value
        elif value.__class__ is dict:
            pending += value.values()
    return count


def _attribute(operation: dict[Any, Value], name: str) -> Value:
    if name not in operation:
        raise BuiltinError(f"missing required attribute '{name}'")
    return operation[name]


def _operated(document: Value, operation: dict[Any, Value]) -> Value:
    path_value, name = _attribute(operation, "path"), _attribute(operation, "op")
    if name.__class__ is not str:
        raise BuiltinError(f"attribute 'op' must be a string but found: {type_name(name)}")
    path = _path(path_value)
    if name == "add":
        return _inserted(document, path, _attribute(operation, "value"))
    if name == "remove":
        return _deleted(document, path)
    if name == "replace":
        return _inserted(_deleted(document, path), path, _attribute(operation, "value"))
    if name in ("move", "copy"):
        origin = _path(_attribute(operation, "from"))
        moved = _found(document, origin)
        return _inserted(_deleted(document, origin) if name == "move" else document, path, moved)
    if name == "test":
        if not equal(_found(document, path), _attribute(operation, "value")):
            raise BuiltinError("the value differs from the one tested for")
        return document
    raise BuiltinError(f"unrecognized op: '{name}'")


def _index(length: int, place: Value) -> int:
    """Read an index; `-` stands for the place behind the last element."""
    if place == "-" and place.__class__ is str:
        return length
    index = int64(place)
    if index is not None:
        return index
    if place.__class__ is str and _INDEX.fullmatch(place) and (place == "0" or not place.startswith("0")):
        return int(place)
    raise BuiltinError("invalid path for indexing")


def _below(value: Value, place: Value) -> Value:
    if value.__class__ is list:
        place = _index(len(value), place)
    found = child(value, place)
    if found is UNDEFINED:
        raise BuiltinError("the path does not exist")
    return found


def _found(value: Value, path: Path) -> Value:
    if value is UNDEFINED:
        raise BuiltinError("the document was removed")
    for place in path:
        value = _below(value, place)
    return value


def _inserted(value: Value, path: Path, new: Value) -> Value:
    if not path:
        return new
    place, kind = path[0], value.__class__
    if len(path) > 1:
        return _put(value, place, _inserted(_below(value, place), path[1:], new))
    if kind is dict:
        return {**value, key(place): new}
    if kind is list:
        index = _index(len(value), place)
        if not 0 <= index <= len(value):
            raise BuiltinError("index for array insertion out of bounds")
        return [*value[:index], new, *value[index:]]
    if kind is frozenset and equal(place, new):
        return value | {key(new)}
    raise BuiltinError("nothing can be inserted there")


def _put(value: Value, place: Value, new: Value) -> Value:
    """Put a changed value where the old one stood."""
    if value.__class__ is list:
        index = _index(len(value), place)
        return [*value[:index], new, *value[index + 1 :]]
    if value.__class__ is frozenset:
        return (value - {key(place)}) | {key(new)}
    return {**value, key(place): new}


def _deleted(value: Value, path: Path) -> Value:
    if not path:
        return UNDEFINED
    place = path[0]
    below = _below(value, place)
    if len(path) > 1:
        return _put(value, place, _deleted(below, path[1:]))
    if value.__class__ is list:
        index = _index(len(value), place)
        return [*value[:index], *value[index + 1 :]]
    if value.__class__ is frozenset:
        return value - {key(place)}
    return {form: member for form, member in value.items() if form != key(place)}
