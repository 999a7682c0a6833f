"""`ZTAG_LISTEN__GRPC=…` → `listen.grpc`: the environment overrides the file.

`__` separates the steps of a path, numbers are places in lists, names are matched without regard to case. A value that
is a JSON array or object is read as such. Since every variable lands in the document, a wrong name is refused like a
wrong key of the file.
"""

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from ztag_extauthz.errors import Mistake, SettingsError
from ztag_extauthz.settings.document import Document, Path

PREFIX = "ZTAG_"
RESERVED = frozenset({"ZTAG_CONFIG"})
"""What the command line reads for itself."""

# Kubernetes writes these into every pod of a namespace that has a Service called `ztag`.
SERVICE_LINK = re.compile(r"ZTAG_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)")


def override(document: Document, environment: Mapping[str, str]) -> Document:
    """Return the document with the environment's values put in. Raises `SettingsError`."""
    value = deepcopy(document.value)
    origins = dict(document.origins)
    mistakes = []
    for name, path, text in _variables(environment):
        problem = _put(value, path, _read(text))
        if problem:
            mistakes.append(Mistake(name, problem, "lists are filled from 0 without gaps"))
        for length in range(1, len(path)):
            origins.setdefault(path[:length], name)
        origins[path] = name
    if mistakes:
        raise SettingsError(tuple(mistakes))
    return Document(value, origins)


def variable(path: Path) -> str:
    """Return the name of the variable that sets `path`."""
    return PREFIX + "__".join(str(part).upper() for part in path)


def _variables(environment: Mapping[str, str]) -> Iterator[tuple[str, Path, str]]:
    found = []
    for name, text in environment.items():
        if name.startswith(PREFIX) and name not in RESERVED and not SERVICE_LINK.fullmatch(name):
            parts = name.removeprefix(PREFIX).lower().split("__")
            found.append((name, tuple(int(part) if part.isdecimal() else part for part in parts), text))
    # Numbers have to be put in their order (10 after 9), which the sorting of names would not give.
    return iter(sorted(found, key=lambda entry: [(isinstance(part, str), part) for part in entry[1]]))


def _read(text: str) -> Any:
    if text.startswith(("[", "{")):
        try:
            return json.loads(text)
        except ValueError:
            return text  # `[::1]:9191`
    return text


def _put(value: Any, path: Path, new: Any) -> str:
    """Put `new` at `path`; return what hinders that, or ""."""
    for step, following in zip(path, (*path[1:], None), strict=True):
        if isinstance(value, list) and isinstance(step, int):
            if step > len(value):
                return f"there is no entry {step - 1} before it"
            if step == len(value):
                value.append(None)
        elif not (isinstance(value, dict) and isinstance(step, str)):
            return "leads through a value that is no section or list"
        if following is None:
            value[step] = new
        elif _at(value, step) is None:
            value[step] = [] if isinstance(following, int) else {}
        value = _at(value, step)
    return ""


def _at(value: Any, step: str | int) -> Any:
    return value.get(step) if isinstance(value, dict) else value[step]
