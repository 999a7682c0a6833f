"""What compiled functions refer to: the parts of the runtime, and a few harmless ones of Python's own built-ins."""

from collections.abc import Callable
from typing import Any, Final

from ztag_extauthz.rego.compile.assemble import assemble
from ztag_extauthz.rego.compile.listing import listing
from ztag_extauthz.rego.compile.policy import PolicyCompiler
from ztag_extauthz.rego.errors import FAILURES, EvaluationError
from ztag_extauthz.rego.runtime.base import get_base, get_sure, lookup_base, lookup_sure
from ztag_extauthz.rego.runtime.evaluation import (
    PENDING,
    Branch,
    State,
    conflict,
    elements,
    get,
    is_collection,
    items,
    lookup,
    make_object,
    ordered_elements,
    ordered_items,
    put,
)
from ztag_extauthz.rego.runtime.tree import tree_get, tree_value
from ztag_extauthz.rego.values import UNDEFINED, Value, compare, equal, key


def constantly(value: Value) -> Callable[..., Value]:
    """Make the replacement of a function by a value."""
    return lambda *_: value


def builtin_mock(function: Callable[..., Value], context: bool, name: str) -> Callable[..., Value]:  # noqa: FBT001
    """Make the replacement of a function by a built-in."""

    def call(state: State, *arguments: Value) -> Value:
        try:
            return function(*((state.context,) if context else ()), *arguments)
        except FAILURES as error:
            state.failed(error, name, "")
            return UNDEFINED

    return call


_NAMES: Final[dict[str, Any]] = {
    "U": UNDEFINED,
    "P": PENDING,
    "Branch": Branch,
    "FAILURES": FAILURES,
    "EvaluationError": EvaluationError,
    **{
        function.__name__: function
        for function in (
            builtin_mock, compare, conflict, constantly, elements, equal, get, get_base, get_sure, is_collection, items,
            key, lookup, lookup_base, lookup_sure, make_object, ordered_elements, ordered_items, put, tree_get,
            tree_value,
        )
    },
    # These are written by the compiler alone, and cannot be reached from a policy.
    "__builtins__": {"all": all, "any": any, "dict": dict, "frozenset": frozenset, "int": int, "len": len,
                     "list": list, "set": set, "KeyError": KeyError, "TypeError": TypeError, "str": str},
}  # fmt: skip


class Linked:
    """A compiled policy: its functions, with the base documents that they refer to."""

    def __init__(self, compiler: PolicyCompiler, data: Value) -> None:
        self._compiler = compiler
        self._names = dict(_NAMES) | compiler.unit.table
        self.source = "\n\n\n".join(compiler.unit.functions) + "\n"
        assemble(compiler.unit.functions, self._names)
        for node, name, fill in compiler.tree_rules:
            node.rule = self._names[name]
            node.fill = self._names[fill] if fill else None
        for index in compiler.unit.indexes:
            index.link(self.function)
        self.data = data
        self.relink(data)

    def listing(self) -> str:
        return listing(self._compiler.unit)

    def relink(self, data: Value) -> None:
        """Let the functions refer to other base documents."""
        self.data = data
        for name, path in self._compiler.unit.data_paths.items():
            self._names[name] = lookup_base(data, path)

    def release(self) -> None:
        """Let go of the functions and what they refer to, which is each other."""
        self.data = None
        self._names.clear()

    def function(self, name: str) -> Callable[..., Value]:
        return self._names[name]  # type: ignore[no-any-return]
