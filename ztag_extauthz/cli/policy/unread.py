"""Data files that lie in a policy folder, and are not read for what they are called."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ztag_extauthz.authorization.bundle.files import DATA_FILES, DATA_SUFFIXES
from ztag_extauthz.rego.syntax.modules import parse_modules
from ztag_extauthz.rego.syntax.nodes import Ref, Scalar, Var, children


def unread(paths: Sequence[str], folder: Path, modules: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each file that is named like something that the modules read of `data`."""
    asked = {name for module in parse_modules(modules).values() for name in _asked(module)}
    for path in paths:
        for file in sorted((folder / path).rglob("*.*")):
            if file.stem in asked and file.suffix in DATA_SUFFIXES and file.name not in DATA_FILES:
                where = Path(path, file.relative_to(folder / path))
                name = f"data{file.suffix}"
                yield f"{where} is not read: call it {name}, or {where.with_suffix('') / name}"


def _asked(module: Any) -> Iterator[str]:
    """Yield the names on the ways into `data`."""
    for item in module.imports:
        yield from item.path[1:] if item.path[0] == "data" else ()
    waiting: list[Any] = [*module.rules]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Ref) and isinstance(node.head, Var) and node.head.name == "data":
            yield from (part.value for part in node.path if isinstance(part, Scalar) and isinstance(part.value, str))
        waiting += children(node)
