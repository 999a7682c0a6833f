"""What is taken out of a decision log's event, as OPA's `system.log.mask` does: by a pointer into `input` or `result`.

A rule is a pointer, which removes, or `{op: remove | upsert, path, value}`. What is not there is left alone, and is not
told as erased. Nothing is changed in place: the policy's own documents are shared.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Literal
from urllib.parse import unquote

from msgspec import Struct

from ztag_extauthz.reporting.masking import MASK, NO_NAMES, clean, header, is_secret, is_secret_claim, split

HTTP = ("input", "attributes", "request", "http")
EXTENSIONS = ("input", "attributes", "contextExtensions")
_FIELDS = frozenset(
    {
        (*HTTP, "headers"),
        (*HTTP, "path"),
        EXTENSIONS,
        *(("result", part) for part in ("headers", "response_headers_to_add", "query_parameters_to_set")),
    }
)
"""What is masked by name."""


class MaskRule(Struct, frozen=True):
    op: Literal["remove", "upsert"]
    path: tuple[str, ...]
    """Its first part is `input` or `result`."""
    value: Any = None

    @property
    def pointer(self) -> str:
        return "/" + "/".join(part.replace("/", "%2F") for part in self.path)


def rule(written: Any) -> MaskRule:
    """Read a rule. Raises `ValueError`."""
    if isinstance(written, Mapping):
        op, pointer, value = written.get("op", "remove"), written.get("path"), written.get("value")
    else:
        op, pointer, value = "remove", written, None
    if op not in {"remove", "upsert"}:
        raise ValueError("a mask's op is remove or upsert")
    if not isinstance(pointer, str) or not pointer.startswith(("/input", "/result")):
        raise ValueError("a mask is a pointer below /input or /result")
    path = tuple(map(unquote, pointer[1:].split("/")))
    if path[0] not in {"input", "result"}:
        raise ValueError("a mask is a pointer below /input or /result")
    return MaskRule(op, path, value)


def apply(event: dict[str, Any], rules: Iterable[MaskRule]) -> dict[str, Any]:
    """Return the event without what the rules take out, and with what they took out by name."""
    erased: list[str] = []
    masked: list[str] = []
    for each in rules:
        try:
            event = _removed(event, each.path) if each.op == "remove" else _put(event, each.path, each.value)
        except LookupError:
            continue
        (erased if each.op == "remove" else masked).append(each.pointer)
    return event | ({"erased": erased} if erased else {}) | ({"masked": masked} if masked else {})


def _removed(node: Any, path: Sequence[str]) -> Any:
    step, rest = path[0], path[1:]
    copy = node.copy() if isinstance(node, dict | list) else {}
    place = _place(copy, step)
    if rest:
        copy[place] = _removed(copy[place], rest)
    else:
        del copy[place]
    return copy


def _put(node: Any, path: Sequence[str], value: Any) -> Any:
    if not isinstance(node, dict | list):
        raise LookupError(path[0])  # noqa: TRY004 - what the rule means is not there
    step, rest = path[0], path[1:]
    copy = node.copy()
    if isinstance(copy, dict):
        copy[step] = _put(copy.get(step, {}), rest, value) if rest else value
    else:
        place = _place(copy, step)
        copy[place] = _put(copy[place], rest, value) if rest else value
    return copy


def _place(node: Any, step: str) -> Any:
    if isinstance(node, dict):
        if step not in node:
            raise LookupError(step)
        return step
    if not step.isdecimal() or int(step) >= len(node):
        raise LookupError(step)
    return int(step)


class Left(Struct, frozen=True):
    """What is left in an event of what is taken out by itself."""

    query: bool = False
    body: bool = False
    credentials: AbstractSet[str] = NO_NAMES
    """Headers that are taken out, whatever their name looks like; in lower case."""


def sensitive(document: Any, left: Left) -> Iterator[MaskRule]:
    """Yield what is always taken out of an input: credentials, and unless they are asked for, query and body."""
    yield from _tokens(("input",), document)  # first: what is replaced after it was removed would be there again
    attributes = document.get("attributes", {})
    http = attributes.get("request", {}).get("http", {})
    yield MaskRule("remove", (*HTTP, "headerMap"))
    headers = http.get("headers", {})
    yield from _headers((*HTTP, "headers"), {name: headers[name] for name in headers if name != ":path"}, left)
    yield from _headers(EXTENSIONS, attributes.get("contextExtensions", {}), left)
    yield from _path((*HTTP, "headers", ":path"), headers.get(":path", ""), left)
    yield from _path((*HTTP, "path"), http.get("path", ""), left)
    for index, part in enumerate(document.get("parsed_path", ())):
        yield from _path(("input", "parsed_path", str(index)), part, left)
    if not left.query:
        yield from (MaskRule("remove", (*HTTP, name)) for name in ("query", "fragment"))
        if document.get("parsed_query"):
            yield MaskRule("remove", ("input", "parsed_query"))
    if not left.body:
        yield from (MaskRule("remove", (*HTTP, name)) for name in ("body", "rawBody"))
        if document.get("parsed_body") is not None:
            yield MaskRule("remove", ("input", "parsed_body"))


def answered(result: Mapping[str, Any], left: Left) -> Iterator[MaskRule]:
    """Yield what is always taken out of a result: what it sends on is as secret as what came in."""
    yield from _tokens(("result",), result)
    for part in ("headers", "response_headers_to_add"):
        yield from _headers(("result", part), result.get(part, {}), left)
    parameters = ("result", "query_parameters_to_set")
    if left.query:
        yield from _headers(parameters, result.get(parameters[1], {}), left)
    else:
        yield MaskRule("remove", parameters)
    if not left.body:
        yield MaskRule("remove", ("result", "body"))


def _headers(path: tuple[str, ...], fields: Mapping[str, Any], left: Left) -> Iterator[MaskRule]:
    """Yield what is taken out of fields by name, each with a value or an array of them."""
    for name, value in fields.items():
        if is_secret(name.lower(), left.credentials):
            yield MaskRule("remove", (*path, name))
            continue
        each = [header(name.lower(), text) for text in (value if isinstance(value, list) else [value])]
        shown = each if isinstance(value, list) else each[0]
        if shown != value:
            yield MaskRule("upsert", (*path, name), shown)


def _path(path: tuple[str, ...], value: str, left: Left) -> Iterator[MaskRule]:
    bare = clean(value if left.query else split(value)[0])
    if bare != value:
        yield MaskRule("upsert", path, bare)


def _tokens(path: tuple[str, ...], node: Any) -> Iterator[MaskRule]:
    """Yield what replaces texts that look like a token or are named so, wherever they stand but in the headers."""
    if isinstance(node, str):
        if ("eyJ" in node or "%" in node) and (shown := clean(node)) != node:
            yield MaskRule("upsert", path, shown)
    elif isinstance(node, dict) and path not in _FIELDS:
        for name, value in node.items():
            if isinstance(value, str) and is_secret_claim(name):
                yield MaskRule("upsert", (*path, name), MASK)
            else:
                yield from _tokens((*path, name), value)
    elif isinstance(node, frozenset) and "eyJ" in repr(node):
        yield MaskRule("upsert", path, MASK)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _tokens((*path, str(index)), value)
