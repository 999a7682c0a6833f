"""The names of all modules together: which rules there are, and what a name in a module stands for."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from ztag_extauthz.rego.builtins.interface import REGISTRY, Builtin
from ztag_extauthz.rego.builtins.signatures import SIGNATURES
from ztag_extauthz.rego.errors import EvaluationError, Mistake
from ztag_extauthz.rego.syntax.nodes import Module, Position, Rule, Scalar
from ztag_extauthz.rego.values import Value


@dataclass(slots=True)
class Mistakes:
    """Collects what is wrong with the modules, so that it can be told all at once."""

    found: list[Mistake] = field(default_factory=list)

    def add(self, module: Module, position: Position, code: str, message: str, remedy: str = "") -> None:
        line, column = position
        self.found.append(Mistake(module.file, line, column, code, message, module.line(line), remedy))


def check_imports(module: Module, mistakes: Mistakes) -> None:
    """Refuse imports that take one another's name."""
    first: dict[str, str] = {}
    for item in module.imports:
        if item.path[0] not in ("data", "input"):
            continue
        if item.alias in first:
            message = f"import must not shadow import {first[item.alias]}"
            mistakes.add(module, item.position, "rego_compile_error", message)
        first.setdefault(item.alias, ".".join(item.path))


def fixed_path(module: Module, rule: Rule) -> tuple[str, ...]:
    """Give the path of a rule below `data`, up to the first part of its head that is no string."""
    path = list(module.package)
    for part in rule.ref:
        if not isinstance(part, Scalar) or not isinstance(part.value, str):
            break
        path.append(part.value)
    return tuple(path)


class Names:
    def __init__(self, modules: Iterable[Module], *, reaches_out: bool = False) -> None:
        self.reaches_out = reaches_out  # `http.send` may be called
        self.exports: dict[tuple[str, ...], set[str]] = {}
        self.arities: dict[tuple[str, ...], int] = {}
        self.paths: set[tuple[str, ...]] = set()
        self.replaced: set[str] = set()
        self._globals: dict[str, dict[str, tuple[str, ...]]] = {}
        for module in modules:
            self.replaced |= module.replaced
            exported = self.exports.setdefault(module.package, set())
            for rule in module.rules:
                exported.add(str(rule.ref[0].value))  # type: ignore[union-attr]
                self._add(module, rule)

    def _add(self, module: Module, rule: Rule) -> None:
        path = fixed_path(module, rule)
        self.paths.add(path)
        if rule.arguments is not None:
            self.arities.setdefault(path, len(rule.arguments))

    def globals(self, module: Module) -> dict[str, tuple[str, ...]]:
        """Give what names stand for in a module: paths that begin with `data` or `input`."""
        names = self._globals.get(module.file)
        if names is None:
            names = {name: ("data", *module.package, name) for name in self.exports[module.package]}
            names.update({item.alias: item.path for item in module.imports if item.path[0] in ("data", "input")})
            self._globals[module.file] = names
        return names


@cache
def find_builtin(name: str) -> Builtin:
    """Give a built-in; one that is not supported, and called where no `with` replaces it, ends the evaluation."""
    known = REGISTRY.get(name)
    if known is not None:
        return known

    def refuse(*_: Value) -> Value:
        raise EvaluationError("rego_unsupported_error", f"built-in function {name} is not supported")

    return Builtin(name, refuse, SIGNATURES[name], pure=False)


@cache
def builtin_arity(name: str) -> int | None:
    """Give the number of arguments of a built-in, or None if there is no such one."""
    known = REGISTRY.get(name)
    signature = known.signature if known else SIGNATURES.get(name)
    return None if signature is None else len(split_arguments(signature))


def split_arguments(signature: str) -> list[str]:
    """Split the argument types of `(a, b<c, d>) => e`."""
    inner = signature[1 : signature.rindex(") =>")]
    depth, parts, part = 0, [], ""
    for character in inner:
        depth += (character in "<[(") - (character in ">])")
        if character == "," and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += character
    return [*parts, part.strip()] if part.strip() else parts
