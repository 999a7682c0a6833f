"""The variables of one rule: which are declared where, and which number each one has."""

from ztag_extauthz.rego.lower.ir import Local
from ztag_extauthz.rego.syntax import nodes as ast

_CLASHES = {
    "seen": "var {} referenced above",
    "assigned": "var {} assigned above",
    "declared": "var {} declared above",
    "argument": "arg {} redeclared",
}


class Scopes:
    """Bodies within bodies. A name that is declared nowhere is one variable for the whole rule."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._declared: list[dict[str, Local]] = [{}]
        self._occurrences: list[dict[str, str]] = [{}]
        self._hidden: list[frozenset[str]] = [frozenset()]
        self._free: dict[str, Local] = {}

    def fresh(self, name: str = "") -> Local:
        self.names.append(name)
        return Local(len(self.names) - 1)

    def push(self, hidden: frozenset[str]) -> None:
        """Enter a body; the names that it declares anywhere (`hidden`) are no rules within it."""
        self._declared.append({})
        self._occurrences.append({})
        self._hidden.append(hidden)

    def pop(self) -> None:
        self._declared.pop()
        self._occurrences.pop()
        self._hidden.pop()

    def hides(self, name: str) -> bool:
        return any(name in hidden for hidden in self._hidden)

    def find(self, name: str) -> Local | None:
        for declared in reversed(self._declared):
            if name in declared:
                return declared[name]
        return None

    def declare(self, name: str, how: str) -> tuple[Local, str]:
        """Declare a name; also gives what is wrong with that, if anything is."""
        local = self.fresh(name)
        clash = self._occurrences[-1].get(name)
        self._declared[-1][name] = local
        self._occurrences[-1][name] = how
        return local, _CLASHES[clash].format(name) if clash else ""

    def see(self, name: str) -> None:
        """Take note that a name is used here, so that it is not declared below."""
        if self.find(name) is None:
            self._occurrences[-1].setdefault(name, "seen")

    def use(self, name: str) -> Local:
        """Give the variable that a name stands for where it is used."""
        local = self.find(name)
        if local is None:
            self._occurrences[-1].setdefault(name, "seen")
            if name not in self._free:
                self._free[name] = self.fresh("" if name.startswith("$") else name)
            local = self._free[name]
        return local


def pattern_names(term: ast.Term) -> list[str]:
    """Give the names that a pattern binds, in order."""
    if isinstance(term, ast.Var):
        return [term.name]
    if isinstance(term, ast.Ref) and not term.path and isinstance(term.head, ast.Var):
        return [term.head.name]
    if isinstance(term, ast.Array):
        return [name for item in term.items for name in pattern_names(item)]
    if isinstance(term, ast.Object):
        return [name for _, value in term.pairs for name in pattern_names(value)]
    return []


def declared_names(body: ast.Body) -> frozenset[str]:
    """Give the names that the literals of a body declare, not those of bodies within it."""
    names: list[str] = []
    for literal in body:
        expression = literal.expression
        if isinstance(expression, ast.Some):
            names += [var.name for var in expression.names]
        elif isinstance(expression, ast.SomeIn):
            names += pattern_names(expression.value) + (pattern_names(expression.key) if expression.key else [])
        elif isinstance(expression, ast.Call) and expression.infix and expression.name == ("assign",):
            names += pattern_names(expression.arguments[0])
    return frozenset(names)
