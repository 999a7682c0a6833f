"""Source to functions: the only place where Python is compiled.

Large policies consist of rules that differ in names and constants only, and all of these are global names of the
source. So each shape is compiled once, and its code is copied with other names, which takes a tenth of the time.
"""

import re
from collections.abc import Iterable
from types import CodeType, FunctionType
from typing import Any, Final

_GLOBAL: Final = re.compile(r"\b(?:[bcdkmntwx]\d+|[a-z]+_\d+)\b")
_HEAD: Final = re.compile(r"def (\w+)\(")


def assemble(functions: Iterable[str], names: dict[str, Any]) -> None:
    """Compile functions that refer to `names`, and add each to it under its own name."""
    shapes: dict[str, CodeType] = {}
    for text in functions:
        order: dict[str, str] = {}

        def general(match: re.Match[str], order: dict[str, str] = order) -> str:
            return order.setdefault(match.group(), f"g{len(order)}")

        shape = _GLOBAL.sub(general, text)
        if shape not in shapes:
            shapes[shape] = _compiled(shape)
        own = {placeholder: name for name, placeholder in order.items()}
        name = _HEAD.match(text)[1]  # type: ignore[index]
        names[name] = FunctionType(_renamed(shapes[shape], own), names, name)


def _compiled(source: str) -> CodeType:
    module = compile(source, "<policy>", "exec", dont_inherit=True, optimize=1)
    return next(part for part in module.co_consts if isinstance(part, CodeType))


def _renamed(code: CodeType, own: dict[str, str]) -> CodeType:
    """Copy code, and the code of what is defined in it, with other global names."""
    return code.replace(
        co_name=own.get(code.co_name, code.co_name),
        co_qualname=own.get(code.co_name, code.co_name),
        co_names=tuple(own.get(name, name) for name in code.co_names),
        co_consts=tuple(_renamed(part, own) if isinstance(part, CodeType) else part for part in code.co_consts),
    )
