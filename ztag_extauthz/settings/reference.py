"""`docs/configuration.md`, from the models and their docstrings."""

import json
import re
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from ztag_extauthz.section import Section
from ztag_extauthz.settings.fields import kind_of, sections_in
from ztag_extauthz.settings.models import Settings

HEAD = """\
# Configuration

<!-- Made by `ztag config reference` from the settings' own descriptions; a test compares them. -->

`ztag serve --config ztag.yaml` reads one YAML file. Unknown keys are refused, and paths are relative to the file.
`ztag config validate` checks a file, `ztag config show` prints what is in force, `ztag config schema` prints the JSON
Schema for editors. Mistakes are told with their line and a remedy, all at once within a round: first what the file
itself says (keys, types, rules between settings), then what it names (files, keys, decisions, policies).

```yaml
authentication:
  - kind: jwt
    issuer: https://issuer.example
    audiences: [mesh]
    algorithms: [RS256]
  - kind: anonymous
authorization:
  - kind: rego
    policies: [policy/]
```

## Environment

`ZTAG_` and the path in capitals, joined by `__`, overrides the file; list entries go by their number from 0, and a
value that is a JSON array or object is read as such. A variable that names no setting is refused like a wrong key.

| setting | variable |
|---|---|
| `listen.grpc` | `ZTAG_LISTEN__GRPC=0.0.0.0:9191` |
| `server.workers` | `ZTAG_SERVER__WORKERS=2` |
| `authentication[0].issuer` | `ZTAG_AUTHENTICATION__0__ISSUER=https://issuer.example` |
| `authentication[0].audiences` | `ZTAG_AUTHENTICATION__0__AUDIENCES=["mesh"]` |

`ZTAG_CONFIG` names the file itself. The variables that Kubernetes makes of a Service called `ztag` are passed over.
"""


def reference() -> str:
    """Return the page."""
    parts = [HEAD, _contents()]
    told: dict[type[Section], str] = {}
    for name, field in Settings.model_fields.items():
        sections = list(sections_in(field.annotation))
        parts.append(f"## `{name}`\n\n{_text(field.description) or _text(sections[0].__doc__)}\n")
        for section in sections:
            parts += _section(name, section, told, titled=bool(kind_of(section)))
    return "\n".join(parts)


def _contents() -> str:
    """Return a table of the sections, with what each is for and its kinds."""
    rows = ["## Sections\n", "| section | what it says | kinds |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        sections = list(sections_in(field.annotation))
        first, _, _ = (_text(field.description) or _text(sections[0].__doc__)).partition(". ")
        kinds = ((kind_of(section), _title(name, kind_of(section))) for section in sections if kind_of(section))
        links = ", ".join(f"[{kind}](#{_anchor(title)})" for kind, title in kinds)
        rows.append(f"| [`{name}`](#{_anchor(name)}) | {first.rstrip('.')} | {links} |")
    return "\n".join(rows) + "\n"


def _title(path: str, kind: str, owner: str = "") -> str:
    """Return a heading; `owner` is the kind that has the section, where others of that place may have one, too."""
    return f"`{path}`" + (f" of `kind: {owner}`" if owner else "") + (f": `kind: {kind}`" if kind else "")


def _anchor(title: str) -> str:
    """Return what a link to a heading names, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def _section(
    path: str, section: type[Section], told: dict[type[Section], str], *, titled: bool, owner: str = ""
) -> Iterator[str]:
    kind = kind_of(section)
    title = _title(path, kind, owner)
    if titled:
        yield f"### {title}\n\n{_text(section.__doc__)}\n"
    if section in told:
        yield f"The keys are those of [{told[section]}](#{_anchor(told[section])}).\n"
        return
    told[section] = title
    rows = [_row(name, field) for name, field in section.model_fields.items() if name != "kind"]
    if rows:
        yield "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows]) + "\n"
    for name, field in section.model_fields.items():
        for inner in sections_in(field.annotation):
            within = f"{path}[].{name}" if kind else f"{path}.{name}"
            yield from _section(within, inner, told, titled=True, owner=kind or owner)


def _row(name: str, field: FieldInfo) -> str:
    meaning = _text(field.description) or _text(next((s.__doc__ for s in sections_in(field.annotation)), ""))
    return f"| `{name}` | {_type(field.annotation)} | {_default(field)} | {meaning}{_bounds(field)} |"


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(argument) for argument in arguments if argument is not type(None))
    if origin in (tuple, list, set, frozenset):
        return f"list of {_type(arguments[0])}"
    if origin is Mapping:
        return "names with texts"
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "section"
    names = {str: "text", int: "whole number", float: "number", bool: "`true`, `false`"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, Section) or default in (None, ()):
        return ""
    return f"`{json.dumps(default, ensure_ascii=False)}`"


def _bounds(field: FieldInfo) -> str:
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    found = [
        f"{word} {getattr(rule, name):,}"
        for rule in field.metadata
        for name, word in words.items()
        if getattr(rule, name, None) is not None
    ]
    return f" ({', '.join(found)})" if found else ""


def _text(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")
