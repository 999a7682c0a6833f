"""What a built-in function is, and how one is registered.

A built-in is a plain function of Rego values that gives a Rego value:

    @builtin("startswith")
    def startswith(text: Value, prefix: Value) -> Value:
        return string(text, 1).startswith(string(prefix, 2))

- Types and arity come from OPA's table (`signatures.py`); a name of one's own brings its `signature`.
- It raises `BuiltinError` (OPA's `eval_builtin_error`) or `OperandError` (`eval_type_error`) where it has no
  answer; the call is then undefined, or the evaluation fails where errors are strict. It may give `UNDEFINED`.
- With `context=True` it gets the evaluation's `Context` as first argument.
- With `specialise=` it may offer a faster function where some arguments are constants of the policy.
- With `relation=True` it gives an iterable of results, one for each solution (`walk`).
- It never changes an argument, and bounds the size of what it makes by `check_size`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from time import monotonic, time_ns
from typing import Any, Final, Protocol
from uuid import UUID

from ztag_extauthz.rego.builtins.signatures import NONDETERMINISTIC, SIGNATURES
from ztag_extauthz.rego.documents import dumps
from ztag_extauthz.rego.errors import BuiltinError, LimitError, OperandError
from ztag_extauthz.rego.values import Number, Value, int64, is_number, type_name

__all__ = ["BuiltinError", "Context", "OperandError", "builtin", "check_size"]

_INT64: Final = 1 << 63
MAX_SIZE: Final = 1_000_000
"""No built-in makes a string, array, set or object longer than this."""

DEFAULT_SECONDS: Final = 10.0
"""An evaluation without a deadline ends so long after it was first seen to take long."""


class Context:
    """What one evaluation offers to the built-ins that it calls. The same clock and dice for all of them."""

    __slots__ = ("_cache", "_now_ns", "_random", "deadline", "http_hosts", "input", "strict")

    def __init__(  # noqa: PLR0913 (each is one thing that an evaluation offers)
        self,
        input_document: Value = None,
        *,
        deadline: float | None = None,
        strict: bool = False,
        now_ns: int | None = None,
        seed: int | None = None,
        http_hosts: frozenset[str] = frozenset(),
    ) -> None:
        self.input = input_document
        self.http_hosts = http_hosts
        self.deadline = deadline
        self.strict = strict
        self._now_ns = now_ns
        self._random = Random(seed) if seed is not None else None  # noqa: S311 (OPA's is no secret either)
        self._cache: dict[Any, Any] | None = None

    @property
    def now_ns(self) -> int:
        """The time of the evaluation: OPA's clock stands still within a query."""
        if self._now_ns is None:
            self._now_ns = time_ns()
        return self._now_ns

    @property
    def random(self) -> Random:
        if self._random is None:
            self._random = Random()  # noqa: S311
        return self._random

    @property
    def cache(self) -> dict[Any, Any]:
        """What has to be the same for the same arguments within one evaluation (`rand.intn`, `uuid.rfc4122`)."""
        if self._cache is None:
            self._cache = {}
        return self._cache

    def uuid4(self) -> UUID:
        return UUID(int=self.random.getrandbits(128), version=4)

    def check(self) -> None:
        """Stop the evaluation if its deadline has passed (`time.monotonic`'s clock)."""
        if self.deadline is None:
            self.deadline = monotonic() + DEFAULT_SECONDS
        if monotonic() > self.deadline:
            raise LimitError("the deadline of the evaluation has passed")


class _NotConstant:
    def __repr__(self) -> str:
        return "NOT_CONSTANT"


NOT_CONSTANT: Final = _NotConstant()
"""Stands for an argument that is known only when the policy is evaluated."""


class Specialise(Protocol):
    """Offers a faster function for a call, or None.

    `arguments` holds the call's constants, and `NOT_CONSTANT` for the others. The function that is given
    takes the others alone, in their order (and the context first, if the built-in takes it). A constant that
    makes the call fail has to fail at each call, not here.
    """

    def __call__(self, arguments: Sequence[Value]) -> Callable[..., Value] | None: ...


@dataclass(frozen=True, slots=True)
class Builtin:
    name: str
    function: Callable[..., Any]
    signature: str
    context: bool = False
    relation: bool = False
    pure: bool = True  # the result is a function of the arguments alone
    specialise: Specialise | None = field(default=None, compare=False)


REGISTRY: Final[dict[str, Builtin]] = {}


def builtin(  # noqa: PLR0913 (each is a word about one built-in)
    name: str,
    *,
    signature: str | None = None,
    context: bool = False,
    relation: bool = False,
    pure: bool | None = None,
    specialise: Specialise | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as the built-in `name`; the function itself is left as it is."""
    pure = name not in NONDETERMINISTIC if pure is None else pure

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        if name in REGISTRY:
            raise ValueError(f"built-in {name} is registered twice")
        REGISTRY[name] = Builtin(name, function, signature or SIGNATURES[name], context, relation, pure, specialise)
        return function

    return register


def type_error(position: int, got: Value, *expected: str) -> OperandError:
    """Make OPA's error for an argument of the wrong type; positions count from 1."""
    wanted = expected[0] if len(expected) == 1 else "one of {" + ", ".join(expected) + "}"
    return OperandError(f"operand {position} must be {wanted} but got {type_name(got)}")


def element_error(position: int, composite: Value, got: Value, *expected: str) -> OperandError:
    """Make OPA's error for an argument that holds an element of the wrong type."""
    kind = type_name(composite)
    wanted = f"{expected[0]}s" if len(expected) == 1 else "(any of) {" + ", ".join(expected) + "}"
    return OperandError(f"operand {position} must be {kind} of {wanted} but got {kind} containing {type_name(got)}")


def string(value: Value, position: int) -> str:
    if value.__class__ is str:
        return value
    raise type_error(position, value, "string")


def number(value: Value, position: int) -> int | Number:
    if is_number(value):
        return value  # type: ignore[no-any-return]
    raise type_error(position, value, "number")


def integer(value: Value, position: int) -> int:
    """Give an integer as OPA reads one where it counts: `1.0` is one, what needs more than 64 bits is none."""
    if value.__class__ is int and -_INT64 < value < _INT64:
        return value
    whole = int64(value)
    if whole is not None:
        return whole
    if is_number(value):
        raise OperandError(f"operand {position} must be integer number but got floating-point number")
    raise type_error(position, value, "number")


def array(value: Value, position: int) -> list[Value]:
    if value.__class__ is list:
        return value
    raise type_error(position, value, "array")


def obj(value: Value, position: int) -> dict[Any, Value]:
    if value.__class__ is dict:
        return value
    raise type_error(position, value, "object")


def rego_set(value: Value, position: int) -> frozenset[Any]:
    if value.__class__ is frozenset:
        return value
    raise type_error(position, value, "set")


def json_text(value: Value, *, escape_html: bool = True) -> str:
    """Write a value as JSON of at most `MAX_SIZE` characters."""
    return dumps(value, escape_html=escape_html, most=MAX_SIZE)


def check_size(size: int, limit: int = MAX_SIZE) -> None:
    """Refuse to make something larger than `limit`: an evaluation has to stay small whatever its input is."""
    if size > limit:
        raise LimitError(f"a value of size {size} is larger than the limit of {limit}")
