"""What a decision can depend on, taken from a request: the key of its answer, and all that the engine is given.

`Reads` says which paths of `input` a decision can follow. Made once, a `Projection` takes just these values, mostly
without building the document that they stand in.

Rule 1: the engine's document is made of what the key holds. So two requests with one key cannot have two answers, even
were the analysis wrong.
Rule 2: the key is exact: another type, another spelling of a number, null, or a path that breaks elsewhere make another
key. One value may have two keys, where that is cheaper; that costs a repetition.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from ztag_extauthz.authorization.cache.interface import Key
from ztag_extauthz.authorization.input import opa_input
from ztag_extauthz.authorization.input.grpc_body import ProtoDescriptor
from ztag_extauthz.authorization.input.projection_parts import (
    Followed,
    Http,
    Joined,
    Members,
    OfIdentity,
    Part,
    Path,
    Text,
)
from ztag_extauthz.model import Context, Request
from ztag_extauthz.rego.documents import from_python
from ztag_extauthz.rego.values import UNDEFINED, Value

if TYPE_CHECKING:
    from ztag_extauthz.rego.reads import Reads

_NO_QUERY: Final[Members] = {"parsed_query": {}}
_NO_BODY: Final[Members] = {"parsed_body": None, "truncated_body": False}
_NOTHING: Final[Members] = {}


class Reading(Struct, frozen=True):
    """What a decision can see of one request."""

    key: Key
    seen: Any
    """What `Projection.document` makes the document of."""


class Projection:
    """Takes what one decision reads."""

    def __init__(self, reads: "Reads", descriptor: ProtoDescriptor | None = None, *, parse_body: bool = True) -> None:
        self._descriptor = descriptor
        self._parse_body = parse_body
        paths = [Path(steps, steps in reads.deep) for steps in sorted(reads.deep | reads.exists, key=repr)]
        if any(not path.steps for path in paths):
            self._root: Part = Followed(paths, self._whole)
        else:
            self._root = Joined(self._part(name, below) for name, below in _by_first(paths).items())

    def read(self, context: Context) -> Reading:
        """Return what the decision can see; raises `ParseError`."""
        opa_input.check(context.request)
        return Reading(*self._root.see(context))

    def document(self, reading: Reading) -> Value:
        """Return the `input` that the engine is given."""
        return self._root.members(reading.seen)

    def _part(self, name: str, paths: Sequence[Path]) -> Part:
        """Return what takes the paths that begin with a name."""
        if name == "identity":
            return OfIdentity(paths)
        if name == "attributes":
            return _attributes(paths)
        if name == _BODY:
            return Followed(paths, self._body, _NO_BODY)
        if name in _TEXTS and paths == [Path((name,), is_deep=True)]:
            return Text(name, *_TEXTS[name])
        if name in _MADE:
            return Followed(paths, _MADE[name], _NO_QUERY)
        return Followed(paths, lambda context: _fact(name, context), _NOTHING)

    def _whole(self, context: Context) -> Members:
        return opa_input.build(context, self._descriptor, parse_body=self._parse_body)

    def _body(self, context: Context) -> Members:
        request = context.request
        if not self._parse_body:
            return _NOTHING
        if not request.body and not request.partial and self._descriptor is None:
            return _NO_BODY
        return opa_input.body(request, self._descriptor)


def _by_first(paths: Sequence[Path]) -> Mapping[str, list[Path]]:
    """Group paths by the member of `input` that they begin in; those of the body, which is parsed once, together."""
    groups: dict[str, list[Path]] = {}
    for path in paths:
        name = str(path.steps[0])
        groups.setdefault(_BODY if name in opa_input.BODY else name, []).append(path)
    return groups


def _attributes(paths: Sequence[Path]) -> Part:
    if any(len(path.steps) == 1 for path in paths):
        return Followed(paths, lambda context: {"attributes": opa_input.attributes(context.request)})
    groups: dict[str, list[Path]] = {}
    for path in paths:
        groups.setdefault(str(path.steps[1]), []).append(Path(path.steps[1:], path.is_deep))
    return Joined((_attribute(name, below) for name, below in groups.items()), "attributes")


def _attribute(name: str, paths: Sequence[Path]) -> Part:
    if name == "request" and Http.suffices(paths):
        return Http(paths)
    return Followed(paths, lambda context: opa_input.attributes(context.request, name))


def _parsed_query(context: Context) -> Members:
    return {"parsed_query": opa_input.parsed_query(context.request)} if "?" in context.request.path else _NO_QUERY


def _fact(name: str, context: Context) -> Members:
    return {name: from_python(context.facts[name])} if name in context.facts else _NOTHING


def _source_principal(context: Context) -> Members:
    principal = context.request.source.principal
    return {"source_principal": principal} if principal else _NOTHING


_BODY: Final = "(body)"
_TEXTS: Final[Mapping[str, tuple[Callable[[Request], str], Callable[[Request], Value]]]] = {
    # As they were sent: what is parsed of one text is one value.
    "parsed_path": (lambda request: request.path.partition("?")[0], opa_input.parsed_path),
    "parsed_query": (lambda request: request.path.partition("?")[2], opa_input.parsed_query),
    "source_principal": (
        lambda request: request.source.principal,
        lambda request: request.source.principal or UNDEFINED,
    ),
}
"""Members that one text decides: where it is, and what is made of it."""
_MADE: Final[Mapping[str, Callable[[Context], Members]]] = {
    "parsed_path": lambda context: {"parsed_path": opa_input.parsed_path(context.request)},
    "parsed_query": _parsed_query,
    "source_principal": _source_principal,
    "version": lambda _: {"version": opa_input.VERSION},
}
