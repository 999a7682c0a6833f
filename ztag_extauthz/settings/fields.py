"""Which fields stand at which path: what the messages, the reference and `ztag config show` read from the models."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from ztag_extauthz.section import Section
from ztag_extauthz.settings.document import Path
from ztag_extauthz.settings.models import Settings


def sections_in(annotation: Any) -> Iterator[type[Section]]:
    """Yield the sections that an annotation names, whatever it wraps them in."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    elif get_origin(annotation) is Annotated:
        yield from sections_in(get_args(annotation)[0])
    elif get_origin(annotation) is not Literal:
        for argument in get_args(annotation):
            yield from sections_in(argument)


def kind_of(section: type[Section]) -> str:
    """Return the value that `kind` has for this section, or ""."""
    field = section.model_fields.get("kind")
    return str(get_args(field.annotation)[0]) if field and get_origin(field.annotation) is Literal else ""


def fields_at(path: Path, value: Any) -> list[str]:
    """Return the names that a section at `path` may have, given the document (which says the kinds)."""
    return sorted({name for section in _walk(path, value) for name in section.model_fields})


def description_of(path: Path, value: Any) -> str:
    """Return the first sentence of a field's description, for whoever has to fill it."""
    field = _field(path, value)
    text = " ".join((field.description or "").split()) if field else ""
    return text.partition(". ")[0].rstrip(".")


def kinds_at(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """Return the kinds that an entry of the list at `path` may have, with their fields."""
    sections = [section for section in _walk(path, None) if kind_of(section)]
    return {kind_of(section): section.model_fields for section in sections}


def _field(path: Path, value: Any) -> FieldInfo | None:
    *parents, name = path
    for section in _walk(tuple(parents), value):
        if name in section.model_fields:
            return section.model_fields[str(name)]
    return None


def _walk(path: Path, value: Any) -> list[type[Section]]:
    """Return the sections that can stand at `path`; one where the document says which kind it is."""
    sections: list[type[Section]] = [Settings]
    for step in path:
        value = _at(value, step)
        if isinstance(step, str):
            fields = [section.model_fields[step] for section in sections if step in section.model_fields]
            sections = [found for field in fields for found in sections_in(field.annotation)]
        kind = value.get("kind") if isinstance(value, dict) else None
        sections = [section for section in sections if kind_of(section) == kind] or sections
    return sections


def _at(value: Any, step: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    return value[step] if isinstance(value, list) and isinstance(step, int) and step < len(value) else None
