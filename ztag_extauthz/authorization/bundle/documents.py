"""One policy or data file: bytes → text or an object."""

import json
import math
import re
from typing import Any, Final

import yaml

from ztag_extauthz.authorization.bundle import slices
from ztag_extauthz.rego.documents import from_python

MAX_REGO_BYTES: Final = 8 * 1024 * 1024
MAX_DEPTH: Final = 128
"""Levels of a YAML document; the engine takes no more."""


class DocumentError(ValueError):
    """A file cannot be used; `place` is `:line:column` where it is known."""

    def __init__(self, what: str, place: str = "") -> None:
        super().__init__(what)
        self.place = place


class _Loader(yaml.CSafeLoader):
    """YAML as OPA reads it: a timestamp is a string, and no name stands twice in one object."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            raise DocumentError("has a name twice in one object", f":{node.start_mark.line + 1}")
        return mapping


def rego(content: bytes) -> str:
    """Return a policy's text."""
    if len(content) > MAX_REGO_BYTES:
        raise DocumentError(f"is larger than {MAX_REGO_BYTES} bytes")
    return _text(content)


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DocumentError("is not UTF-8", f":{line}") from None


def data(name: str, content: bytes) -> dict[str, Any]:
    """Return a data file's object, a value of Rego."""
    document = _json(content) if name.endswith(".json") else _yaml(content)
    if not isinstance(document, dict):
        raise DocumentError("is no object: data has to have a name at its root")
    return document


def _json(content: bytes) -> Any:
    try:
        return _bounded(slices.loads(_text(content)))
    except json.JSONDecodeError as error:
        raise DocumentError(error.msg, f":{error.lineno}:{error.colno}") from None
    except DocumentError:
        raise
    except ValueError as error:
        raise DocumentError(str(error)) from None
    except RecursionError:
        raise DocumentError("is nested too deeply") from None


def _bounded(document: Any) -> Any:
    """Return a document that is not nested too deeply; level by level, so that the depth costs no stack."""
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(MAX_DEPTH):
        level = [
            member
            for parent in level
            for member in (parent.values() if isinstance(parent, dict) else parent)
            if member.__class__ in (dict, list)
        ]
        if not level:
            return document
    raise DocumentError("is nested too deeply")


def _yaml(content: bytes) -> Any:
    try:
        _verify_events(content)
        return from_python(_plain(yaml.load(content, _Loader)))  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise DocumentError(error.problem or "is no YAML", place) from None
    except yaml.YAMLError:
        raise DocumentError("is no YAML") from None


def _verify_events(content: bytes) -> None:
    """Refuse what costs out of proportion: aliases stand for gigabytes, depth takes libyaml quadratic time."""
    depth = 0
    for event in yaml.parse(content, yaml.CSafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise DocumentError("has an alias (*name); write the value out", f":{line}")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise DocumentError("is nested too deeply", f":{line}")


def _plain(value: Any) -> Any:
    """Return JSON's types: names are strings, as OPA writes them."""
    if isinstance(value, dict):
        return {_name(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise DocumentError(f"has {value}, which is not JSON")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise DocumentError(f"has a value of type {type(value).__name__}, which is not JSON")


def _name(name: Any) -> str:
    if isinstance(name, str):
        return name
    if isinstance(name, bool | int | float) or name is None:
        return json.dumps(name)
    raise DocumentError("has a name that is no string")


def place(document: dict[str, Any], at: tuple[str, ...]) -> dict[str, Any]:
    """Put a document under the names of the folders that it stands in."""
    for name in reversed(at):
        document = {name: document}
    return document


def merge(into: dict[str, Any], document: dict[str, Any], at: str = "data") -> None:
    """Add a document to the data; raises `DocumentError` where both give something a value."""
    for name, value in document.items():
        if name not in into:
            into[name] = value
        elif isinstance(into[name], dict) and isinstance(value, dict):
            merge(into[name], value, f"{at}.{name}")
        else:
            raise DocumentError(f"gives {at}.{name} a value, and so does another file")


PACKAGE: Final = re.compile(r"^\s*package\s+([A-Za-z0-9_.\[\]\"/-]+)", re.MULTILINE)
"""A module's package, for the roots of a bundle."""
