"""Built-in functions of one's own, from installed packages: the entry points of the group `ztag.rego.builtins`.

The name of an entry point is the function's name in Rego, its object a function marked with its signature:

    [project.entry-points."ztag.rego.builtins"]
    "acme.score" = "acme_policies:score"

    @signature("(string, number) => number")
    def score(account, limit): ...

Arguments and results are Rego values (`values.py`), of the types that the signature names (`signatures.py` holds
OPA's as examples). A function raises `BuiltinError` where it has no answer; whatever else it raises ends the
evaluation. Unless it is `pure`, its answers are not taken for a function of its arguments.
"""

import inspect
import re
from collections.abc import Callable
from functools import cache, wraps
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from ztag_extauthz.rego.builtins.interface import builtin
from ztag_extauthz.rego.builtins.signatures import SIGNATURES
from ztag_extauthz.rego.errors import BuiltinError, EvaluationError, Mistake, PolicyError
from ztag_extauthz.rego.names import split_arguments
from ztag_extauthz.rego.types import parse_type
from ztag_extauthz.rego.values import Value

GROUP: Final = "ztag.rego.builtins"
_NAME: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_ROOTS: Final = ("data", "input", "internal", "rego")
_TYPES: Final = {"any", "array", "object", "set", "string", "number", "boolean", "null"}
_SIGNATURE: Final = re.compile(r"\(.*\) => .+")


def signature(text: str, *, pure: bool = False) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Mark a function as a built-in of these types, such as `(string, number) => boolean`."""

    def mark(function: Callable[..., Value]) -> Callable[..., Value]:
        function.__rego__ = text, pure  # type: ignore[attr-defined]
        return function

    return mark


@cache
def load() -> None:
    """Register what is installed, once; raises `PolicyError` with what is wrong with it."""
    mistakes = []
    for point in entry_points(group=GROUP):
        try:
            register(point.name, _loaded(point))
        except ValueError as error:
            mistakes.append(Mistake(f"{GROUP}: {point.name}", 0, 0, "rego_compile_error", str(error)))
    if mistakes:
        raise PolicyError(mistakes)


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:
        raise ValueError(f"cannot be loaded: {error}") from error


def register(name: str, function: Callable[..., Value]) -> None:
    """Make a marked function a built-in; raises `ValueError` where its name or signature is none."""
    marked = getattr(function, "__rego__", None)
    if marked is None:
        raise ValueError("is not marked with @signature")
    text, pure = marked
    if not _NAME.fullmatch(name) or name in SIGNATURES or name.partition(".")[0] in _ROOTS:
        raise ValueError(f"{name} is no name for a built-in of one's own")
    _check(function, text)
    builtin(name, signature=text, pure=pure)(_guarded(name, function))


def _check(function: Callable[..., Value], text: str) -> None:
    if not _SIGNATURE.fullmatch(text) or not _TYPES.issuperset(re.findall(r"\w+", text)):
        raise ValueError(f"{text} is no signature")
    arguments, result = split_arguments(text), text.rsplit(") => ", 1)[1]
    for part in (*arguments, result):
        parse_type(part)
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        raise ValueError(f"does not take the arguments of {text}") from None


def _guarded(name: str, function: Callable[..., Value]) -> Callable[..., Value]:
    @wraps(function)
    def call(*arguments: Value) -> Value:
        try:
            return function(*arguments)
        except (BuiltinError, EvaluationError):
            raise
        except Exception as error:
            raise EvaluationError("eval_builtin_error", f"{name}: {type(error).__name__}") from error

    return call
