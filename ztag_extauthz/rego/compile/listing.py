"""The compiled source as people read it: with what each function was made from, and the constants by their names.

What comes from a policy stands in comments alone, and only as ASCII on one line.
"""

import re
from typing import Final

from ztag_extauthz.rego.compile.emit import Unit
from ztag_extauthz.rego.documents import dumps

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_./: ()\-]")
_NAME: Final = re.compile(r"def (\w+)\(")
_MAX_SHOWN: Final = 100


def listing(unit: Unit) -> str:
    """Give the functions with their notes, and below them the table of constants and base documents."""
    functions = [_noted(text, unit.notes) for text in unit.functions]
    constants = [f"# {name} = {_shown(unit.table[name])}" for name in unit.table if re.fullmatch(r"c\d+", name)]
    data = [f"# {name} = data at {_shown(list(path))}" for name, path in unit.data_paths.items()]
    return "\n\n\n".join([*functions, "\n".join([*constants, *data])]).rstrip() + "\n"


def _noted(text: str, notes: dict[str, str]) -> str:
    match = _NAME.match(text)
    note = notes.get(match[1], "") if match else ""
    return f"# {_UNSAFE.sub('?', note)}\n{text}" if note else text


def _shown(value: object) -> str:
    text = dumps(value).encode("ascii", "backslashreplace").decode()
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + " ..."
