"""YAML text → plain values, and where each of them came from.

Rules
1. A key that occurs twice is refused: readers differ on which of them counts.
2. Aliases are followed, but what they expand to is bounded, and none may contain itself.
3. Only plain data: no merge keys, no tags that make objects.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import yaml
from msgspec import Struct

from ztag_extauthz.errors import Mistake, SettingsError

Path: TypeAlias = tuple[str | int, ...]
"""Where a value stands: `("authentication", 0, "issuer")`."""

MAX_BYTES = 128 * 1024
"""The reader takes about a second for so much, whatever it is."""
MAX_NODES = 20_000
MAX_DEPTH = 32
PLAIN_TAGS = frozenset({"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})
MERGE_TAG = "tag:yaml.org,2002:merge"


class Document(Struct, frozen=True):
    """Plain values, and for each path the place that an operator would have to edit."""

    value: dict[str, Any]
    origins: Mapping[Path, str]
    """`ztag.yaml:7`, or the name of an environment variable; in the document's order, the whole document first."""

    def known(self, path: Path) -> Path:
        """Return the path itself, or for what is missing the nearest section that should contain it."""
        while path not in self.origins:
            path = path[:-1]
        return path

    def origin(self, path: Path) -> str:
        """Return where a value came from, or would have to be added."""
        return self.origins[self.known(path)]


def spell(path: Path) -> str:
    """Return a path as people write it: `authentication[0].issuer`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def parse(text: str, name: str) -> Document:
    """Return the values of a YAML text; `name` is what mistakes call the file. Raises `SettingsError`."""
    if len(text) > MAX_BYTES:
        raise SettingsError((Mistake(name, f"longer than {MAX_BYTES} bytes", "is this the right file?"),))
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        reader = _Reader(loader, name)
        value = {} if node is None else reader.read(node, (), ())
        reader.origins.setdefault((), f"{name}:1")
    except yaml.MarkedYAMLError as error:
        raise SettingsError((_syntax_mistake(error, name),)) from None
    except yaml.YAMLError as error:
        raise SettingsError((Mistake(name, f"not YAML: {str(error).splitlines()[0]}"),)) from None
    except RecursionError:
        raise SettingsError((Mistake(name, "nested too deeply"),)) from None
    if reader.mistakes:
        raise SettingsError(tuple(reader.mistakes))
    if not isinstance(value, dict):
        raise SettingsError((Mistake(f"{name}:1", "not a mapping", "begin with `authentication:`"),))
    return Document(value, reader.origins)


def _syntax_mistake(error: yaml.MarkedYAMLError, name: str) -> Mistake:
    mark = error.problem_mark or error.context_mark
    where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
    return Mistake(where, f"not YAML: {error.problem or error.context}", "check the indentation and the quotes here")


class _Reader:
    """Turns YAML's nodes into values, and remembers their lines and what is wrong with them."""

    def __init__(self, loader: yaml.SafeLoader, name: str) -> None:
        self.mistakes: list[Mistake] = []
        self.origins: dict[Path, str] = {}
        self._loader = loader
        self._name = name
        self._nodes = 0

    def read(self, node: yaml.Node, path: Path, parents: tuple[yaml.Node, ...]) -> Any:
        self.origins.setdefault(path, self._line(node))
        self._nodes += 1
        if node in parents or len(parents) > MAX_DEPTH or self._nodes > MAX_NODES:
            if not self.mistakes:
                self._mistake(node, path, "aliases expand without end, or too deeply", "write the values out")
            return None
        if isinstance(node, yaml.CollectionNode) and node.tag not in PLAIN_TAGS:
            self._mistake(node, path, f"the tag {node.tag} is not read", "write plain YAML")
            return None
        if isinstance(node, yaml.SequenceNode):
            return [self.read(child, (*path, index), (*parents, node)) for index, child in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, path, parents))
        try:
            return self._loader.construct_object(node)
        except yaml.YAMLError:
            raise
        except Exception:  # noqa: BLE001 - PyYAML's readers of dates and `!!bool` raise whatever they stumble over
            self._mistake(node, path, f"is no {node.tag.rpartition(':')[2]}", "put it in quotes if it is text")
            return None

    def _pairs(self, node: yaml.MappingNode, path: Path, parents: tuple[yaml.Node, ...]) -> Iterator[tuple[str, Any]]:
        seen: dict[str, yaml.Node] = {}
        for key_node, value_node in node.value:
            if key_node.tag == MERGE_TAG:
                self._mistake(key_node, path, "merge keys (`<<`) are not read", "write the keys out")
                continue
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            if key in seen:
                first = seen[key].start_mark.line + 1
                self._mistake(key_node, (*path, key), f"occurs twice, first in line {first}", "keep one of them")
                continue
            seen[key] = key_node
            self.origins[*path, key] = self._line(key_node)
            yield key, self.read(value_node, (*path, key), (*parents, node))

    def _line(self, node: yaml.Node) -> str:
        return f"{self._name}:{node.start_mark.line + 1}"

    def _mistake(self, node: yaml.Node, path: Path, what: str, remedy: str) -> None:
        where = f"{self._line(node)}: {spell(path)}" if path else self._line(node)
        self.mistakes.append(Mistake(where, what, remedy))
