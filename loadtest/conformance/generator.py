"""Random policies that make sense: every expression is made for a type, from variables that are in scope.

A policy has helper rules, functions, and the rules that are asked for. It is held as a tree of lines, so that
what is not needed for a difference can be taken away from it (`shrink.py`).
"""

# ruff: noqa: S311 (these dice need not be secret)

from dataclasses import dataclass, field
from random import Random
from typing import Final

from loadtest.conformance.expressions import Expressions
from loadtest.conformance.inputs import random_input
from loadtest.conformance.reference import Question

_INPUTS: Final = 4


@dataclass
class Policy:
    """Definitions (each a head and the lines of its body), by which a text is made."""

    definitions: list["Definition"] = field(default_factory=list)

    def text(self) -> str:
        return "package t\n\n" + "\n\n".join(definition.text() for definition in self.definitions) + "\n"

    def queries(self) -> list[str]:
        names = dict.fromkeys(definition.name for definition in self.definitions if definition.asked)
        return [f"data.t.{name}" for name in names]


@dataclass(frozen=True)
class Definition:
    name: str
    head: str
    body: tuple[str, ...] = ()
    tail: str = ""
    asked: bool = True

    def text(self) -> str:
        body = "".join(f"\t{line}\n" for line in self.body)
        return f"{self.head} if {{\n{body}}}{self.tail}" if self.body else self.head + self.tail


class Generator:
    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.expressions = Expressions(self.random)

    def policy(self) -> Policy:
        policy = Policy()
        for number in range(self.random.randint(0, 2)):
            policy.definitions += self._function(f"f{number}")
        for number in range(self.random.randint(2, 6)):
            policy.definitions += self._rule(f"r{number}")
        return policy

    def question(self) -> tuple[Policy, Question]:
        policy = self.policy()
        inputs = [random_input(self.random) for _ in range(_INPUTS)]
        return policy, Question({"t.rego": policy.text()}, policy.queries(), inputs)

    def _rule(self, name: str) -> list[Definition]:
        make = self.random.choice(
            (self._complete, self._complete, self._boolean, self._partial_set, self._partial_object, self._constant)
        )
        definitions: list[Definition] = make(name)
        return definitions

    def _body(self, parameters: dict[str, str] | None = None) -> tuple[tuple[str, ...], dict[str, str]]:
        return self.expressions.body(self.random.randint(1, 4), parameters)

    def _boolean(self, name: str) -> list[Definition]:
        definitions = []
        if self.random.random() < 0.4:
            definitions.append(Definition(name, f"default {name} := {self.random.choice(('false', 'true'))}"))
        for _ in range(self.random.randint(1, 3)):
            body, _ = self._body()
            definitions.append(Definition(name, name, body))
        self.expressions.rules[name] = "bool"
        return definitions

    def _complete(self, name: str) -> list[Definition]:
        kind = self.expressions.kind()
        definitions = []
        if self.random.random() < 0.3:
            definitions.append(Definition(name, f"default {name} := {self.expressions.constant(kind)}"))
        for _ in range(self.random.choice((1, 1, 2))):
            body, scope = self._body()
            value = self.expressions.make(kind, 2, scope)
            definitions.append(Definition(name, f"{name} := {value}", body, self._else(kind)))
        self.expressions.rules[name] = kind
        return definitions

    def _else(self, kind: str) -> str:
        if self.random.random() > 0.25:
            return ""
        body, scope = self._body()
        lines = "".join(f"\t{line}\n" for line in body)
        return f" else := {self.expressions.make(kind, 1, scope)} if {{\n{lines}}}"

    def _constant(self, name: str) -> list[Definition]:
        kind = self.expressions.kind()
        self.expressions.rules[name] = kind
        return [Definition(name, f"{name} := {self.expressions.constant(kind)}")]

    def _partial_set(self, name: str) -> list[Definition]:
        kind = self.random.choice(("num", "str"))
        definitions = []
        for _ in range(self.random.randint(1, 2)):
            body, scope = self._body()
            definitions.append(Definition(name, f"{name} contains {self.expressions.make(kind, 1, scope)}", body))
        self.expressions.rules[name] = f"set_{kind}"
        return definitions

    def _partial_object(self, name: str) -> list[Definition]:
        definitions = []
        for _ in range(self.random.randint(1, 2)):
            body, scope = self._body()
            key = self.expressions.make("str", 1, scope)
            value = self.expressions.make("num", 1, scope)
            definitions.append(Definition(name, f"{name}[k] := {value}", (f"k := {key}", *body)))
        self.expressions.rules[name] = "obj"
        return definitions

    def _function(self, name: str) -> list[Definition]:
        parameter, result = self.expressions.kind(), self.expressions.kind()
        definitions = []
        for _ in range(self.random.choice((1, 1, 2))):
            body, scope = self._body({"p": parameter})
            value = self.expressions.make(result, 1, scope)
            definitions.append(Definition(name, f"{name}(p) := {value}", body, asked=False))
        if self.random.random() < 0.2:
            definitions.append(
                Definition(name, f"{name}({self.expressions.constant(parameter)}) := {value}", asked=False)
            )
        self.expressions.functions[name] = (parameter, result)
        return definitions


def example(seed: int) -> tuple[Policy, Question]:
    return Generator(seed).question()
