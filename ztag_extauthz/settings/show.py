"""The settings in force, as people read them. Secrets are of pydantic's secret types, which show as stars."""

from collections.abc import Iterator
from typing import Any

import yaml

from ztag_extauthz.settings.document import Document, Path, spell
from ztag_extauthz.settings.models import Settings


def as_yaml(settings: Settings) -> str:
    """Return a complete configuration file that gives these settings again."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def as_lines(settings: Settings, document: Document) -> list[str]:
    """Return a line for each setting: path, value, and the line or variable that it came from."""
    rows = [
        (spell(path), _flat(value), _origin(document, path))
        for path, value in _leaves(settings.model_dump(mode="json"), ())
    ]
    path_width = max(len(path) for path, _, _ in rows)
    value_width = min(40, max(len(value) for _, value, _ in rows))
    return [f"{path:<{path_width}}  {value:<{value_width}}  {origin}" for path, value, origin in rows]


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        for key, entry in value.items():
            yield from _leaves(entry, (*path, key))
    elif isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        for index, entry in enumerate(value):
            yield from _leaves(entry, (*path, index))
    else:
        yield path, value


def _flat(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("\n").removesuffix("\n...")


def _origin(document: Document, path: Path) -> str:
    """Return the place that names this setting, or an entry of it."""
    if path in document.origins:
        inside = [origin for place, origin in document.origins.items() if place[: len(path)] == path]
        return inside[-1]
    return "default"
