"""YAML files → the objects in them, each with the place it was found at."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from ztag_extauthz.errors import Mistake, SettingsError


class Manifest(Struct, frozen=True):
    """One document of a file: a Kubernetes object, a MeshConfig, or configuration of Envoy."""

    file: str
    body: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.body.get("kind", ""))

    @property
    def name(self) -> str:
        return str(at(self.body, "metadata", "name") or "")

    @property
    def namespace(self) -> str:
        return str(at(self.body, "metadata", "namespace") or "default")

    @property
    def spec(self) -> Mapping[str, Any]:
        return section(self.body.get("spec"))

    def where(self, *path: str | int) -> str:
        """Return the place of a part, as mistakes name it."""
        owner = f"{self.file}: {self.kind}/{self.name}" if self.kind else self.file
        return ".".join([owner, *map(str, path)]).replace(f"{owner}.", f"{owner} ", 1)


def read(files: Iterable[Path]) -> tuple[Manifest, ...]:
    """Return every document of the files; a `List` counts as what it holds. Raises `SettingsError`."""
    found: list[Manifest] = []
    mistakes: list[Mistake] = []
    for file in files:
        try:
            found += _documents(file)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            mistakes.append(Mistake(str(file), f"cannot be read: {error}".replace("\n", " "), "give YAML files"))
    if mistakes:
        raise SettingsError(tuple(mistakes))
    return tuple(found)


def _documents(file: Path) -> Iterator[Manifest]:
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        if not isinstance(document, dict):
            continue
        items = document.get("items") if str(document.get("kind", "")).endswith("List") else [document]
        yield from (Manifest(str(file), item) for item in sequence(items) if isinstance(item, dict))


def at(value: Any, *path: str | int) -> Any:
    """Return what stands at a path, or None where the path breaks."""
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def section(value: Any) -> Mapping[str, Any]:
    """Return a mapping, empty if it is none: what is malformed is the schema's business, not a pitfall."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: Any) -> list[Any]:
    """Return a list, empty if it is none."""
    return value if isinstance(value, list) else []


def walk(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    """Yield every mapping within a value, with its path."""
    if isinstance(value, Mapping):
        yield path, value
        for key, entry in value.items():
            yield from walk(entry, (*path, str(key)))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from walk(entry, (*path, index))
