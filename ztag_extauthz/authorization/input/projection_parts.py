"""The parts of a projection: each takes some members of an object from a request.

Paths are relative to that object, `input` or `input.attributes`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

from ztag_extauthz.authorization.cache.encoding import pack
from ztag_extauthz.authorization.input import opa_input
from ztag_extauthz.authorization.input.pruned import blank, pruned
from ztag_extauthz.model import Context, Identity, Request
from ztag_extauthz.rego.frozen import Broken, Frozen, InputPath, follow, freeze, freeze_kind
from ztag_extauthz.rego.values import UNDEFINED, Value

Members: TypeAlias = Mapping[str, Value]
Seen: TypeAlias = tuple[Frozen, Any]
"""A piece of the key, and what the part makes its members of."""


class Path(NamedTuple):
    """A path, and whether its value is read, or only that it leads somewhere."""

    steps: InputPath
    is_deep: bool

    def freeze(self, found: Value | Broken) -> Frozen:
        return freeze(found) if self.is_deep else freeze_kind(found)

    def visible(self, found: Value | Broken) -> Value | Broken:
        """Return what the key holds of a value: where that is its kind, some value of the kind."""
        return found if self.is_deep or found.__class__ is Broken else blank(found.__class__.__name__)


class Part(ABC):
    """Some members of an object."""

    @abstractmethod
    def see(self, context: Context) -> Seen:
        """Return the piece of the key; raises `ParseError`."""

    @abstractmethod
    def members(self, seen: Any) -> Members:
        """Return the members, made of what the piece of the key holds and of nothing else."""


class Joined(Part):
    """Several parts of one object, which may be a member itself."""

    def __init__(self, parts: Iterable[Part], name: str = "") -> None:
        self._parts = tuple(parts)
        self._name = name

    def see(self, context: Context) -> Seen:
        seen = [part.see(context) for part in self._parts]
        return tuple([piece for piece, _ in seen]), seen

    def members(self, seen: Any) -> Members:
        members: dict[str, Value] = {}
        for part, (_, mine) in zip(self._parts, seen, strict=True):
            members.update(part.members(mine))
        return {self._name: members} if self._name else members


class Followed(Part):
    """Paths that are followed in members which are made first."""

    def __init__(
        self,
        paths: Sequence[Path],
        make: Callable[[Context], Members],
        usual: Members = MappingProxyType({}),
    ) -> None:
        """`make` may return `usual` itself: what that leads to is known beforehand."""
        self._paths = paths
        self._make = make
        self._usual = usual
        self._usual_members = _prune(paths, _find(paths, dict(usual)))

    def see(self, context: Context) -> Seen:
        made = self._make(context)
        if made is self._usual:
            return (), None
        found = _find(self._paths, made)
        return _freeze(self._paths, found), found

    def members(self, seen: Any) -> Members:
        return self._usual_members if seen is None else _prune(self._paths, seen)


class OfIdentity(Part):
    """What is read of `input.identity`; found out once for each of those who asked lately."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._members = _members_read(paths)
        self._is_pruned = all(path.is_deep and _is_whole(path.steps) for path in paths)
        self._known = opa_input.Identities(self._know)

    def _know(self, identity: Identity) -> tuple[bytes, Members]:
        members = {"identity": opa_input.of_identity(identity, self._members)}
        found = _find(self._paths, members)
        return pack(_freeze(self._paths, found)), members if self._is_pruned else _prune(self._paths, found)

    def see(self, context: Context) -> Seen:
        return self._known(context.identity)

    def members(self, seen: Any) -> Members:
        members: Members = seen
        return members


def _members_read(paths: Sequence[Path]) -> Mapping[str, Callable[[Identity], Value]]:
    """Return what makes the members of an identity that paths go through, and of its claims no others: few are read."""
    if any(len(path.steps) == 1 for path in paths):
        return opa_input.IDENTITY
    members = {name: make for name, make in opa_input.IDENTITY.items() if any(path.steps[1] == name for path in paths)}
    claims = [path.steps[2:] for path in paths if path.steps[1] == "claims"]
    if claims and all(claims):
        members["claims"] = opa_input.claims_named({name for name, *_ in claims if isinstance(name, str)})
    return members


def _is_whole(steps: InputPath) -> bool:
    """Tell whether a path leads to a whole member of an identity, or to a whole claim."""
    return len(steps) == 2 or (len(steps) == 3 and steps[1] == "claims")


class Text(Part):
    """A member that is made of one text of a request, which is its piece of the key."""

    def __init__(self, name: str, text: Callable[[Request], str], value: Callable[[Request], Value]) -> None:
        """`value` gives `UNDEFINED` where there is no such member."""
        self._name = name
        self._text = text
        self._value = value

    def see(self, context: Context) -> Seen:
        return self._text(context.request), context.request

    def members(self, seen: Any) -> Members:
        value = self._value(seen)
        return {} if value is UNDEFINED else {self._name: value}


_HTTP: Final = ("request", "http")
_FIELDS: Final = frozenset({"method", "scheme", "host", "path"})
_NO_HEADER: Final = Broken(3, "dict")


class Http(Followed):
    """`request`, where nothing is read of it but what a `Request` that is `as_sent` holds.

    Rule: however a request came, its piece has what its paths find, in their order. Another order would be another
    question's key.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__(paths, lambda context: context.request.attributes("request"))
        self._takes = [_take(path.steps) for path in paths]

    @staticmethod
    def suffices(paths: Sequence[Path]) -> bool:
        return all(path.is_deep and _is_held(path.steps) for path in paths)

    def see(self, context: Context) -> Seen:
        request = context.request
        if not request.as_sent:
            return super().see(context)
        found = tuple([take(request) for take in self._takes])
        return found, found  # texts and `Broken` stand for themselves

    def members(self, seen: Any) -> Members:
        http: dict[str | int, Any] = {}
        for (steps, _), found in zip(self._paths, seen, strict=True):
            holder = http if len(steps) == len(_HTTP) + 1 else http.setdefault("headers", {})
            if found.__class__ is str:
                holder[steps[-1]] = found
            elif found != _NO_HEADER:
                return super().members(seen)  # of a connection, which has none of this
        return {"request": {"http": http}}


def _is_held(steps: InputPath) -> bool:
    match steps:
        case ("request", "http", str(name)):
            return name in _FIELDS
        case ("request", "http", "headers", str()):
            return True
        case _:
            return False


def _take(steps: InputPath) -> Callable[[Request], str | Broken]:
    """Return what finds in a `Request` what a path finds in its document."""
    *_, name = map(str, steps)
    if len(steps) == len(_HTTP) + 1:
        return attrgetter(name)
    return lambda request: request.headers.get(name, _NO_HEADER)


def _find(paths: Sequence[Path], members: Mapping[str, Value]) -> list[Value | Broken]:
    return [follow(members, path.steps) for path in paths]


def _freeze(paths: Sequence[Path], found: Sequence[Value | Broken]) -> tuple[Frozen, ...]:
    return tuple([path.freeze(value) for path, value in zip(paths, found, strict=True)])


def _prune(paths: Sequence[Path], found: Sequence[Value | Broken]) -> Members:
    members: Members = pruned((path.steps, path.visible(value)) for path, value in zip(paths, found, strict=True))
    return members
