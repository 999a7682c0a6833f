"""Which lines of a policy its evaluations reach, told by code that says so at every step.

A line counts by what begins on it: an expression is covered once it was evaluated, whether or not it held; the head
of a rule once the rule gave a value. Constant defaults do not count.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ztag_extauthz.rego.analysis.analyse import analyse
from ztag_extauthz.rego.builtins.interface import Context
from ztag_extauthz.rego.compile.emit import Writer
from ztag_extauthz.rego.compile.link import Linked
from ztag_extauthz.rego.compile.policy import PolicyCompiler
from ztag_extauthz.rego.explain import Places
from ztag_extauthz.rego.lower.ir import Step
from ztag_extauthz.rego.runtime.evaluation import State
from ztag_extauthz.rego.syntax.nodes import Literal, Module, Position, Rule, children
from ztag_extauthz.rego.values import UNDEFINED, Value


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """Numbers of lines, from 1, in order."""

    covered: tuple[int, ...]
    missed: tuple[int, ...]

    @property
    def percent(self) -> float:
        lines = len(self.covered) + len(self.missed)
        return 100.0 * len(self.covered) / lines if lines else 100.0


class _Lines(Places):
    """Numbers that stand for lines."""

    def __init__(self, modules: Mapping[str, Module]) -> None:
        super().__init__(modules)
        self.known: list[tuple[str, int]] = []

    def add(self, file: str, position: Position, rule: str = "") -> int:
        self.known.append((file, position[0]))
        return super().add(file, position, rule)


class _Compiler(PolicyCompiler):
    """Writes before each step that it is reached."""

    def note(self, writer: Writer, step: Step) -> None:
        if self.places is not None:
            writer.line(f"s.trace.reached({self.places.add(self._file, step.position)})")


class _Heard:
    """Hears which steps are reached and which rules give a value."""

    def __init__(self) -> None:
        self.numbers: set[int] = set()

    def reached(self, step: int) -> None:
        self.numbers.add(step)

    def entered(self, rule: int) -> None:
        """Hear that a rule is tried, which is not yet to be covered."""

    def failed(self, step: int, values: tuple[Value, ...]) -> None:
        """Hear that a step failed; it was reached before."""

    def gave(self, rule: int, value: Value) -> None:  # noqa: ARG002 - the trace's signature
        self.numbers.add(rule)


class Coverage:
    """Evaluates entry points, and remembers the lines that were reached."""

    def __init__(self, modules: Mapping[str, str], data: Value, entry_points: Sequence[str]) -> None:
        """Compile modules (text by file name) anew; raises `PolicyError`."""
        analysis = analyse(modules)
        self._modules = analysis.modules
        self._lines = _Lines(analysis.modules)
        self._heard = _Heard()
        compiler = _Compiler(analysis.tree, analysis.overrides, self._lines)
        self._names = {point: compiler.entry(tuple(point.split("/"))) for point in entry_points}
        compiler.drain()
        self._linked = Linked(compiler, data)

    def evaluate(self, entry_point: str, input_document: Value = UNDEFINED, *, deadline: float | None = None) -> Value:
        context = Context(input_document, deadline=deadline)
        state = State(input_document, self._linked.data, context, self._heard)
        return self._linked.function(self._names[entry_point])(state)

    def files(self) -> dict[str, FileCoverage]:
        """Return what has been covered so far, by file."""
        reached: defaultdict[str, set[int]] = defaultdict(set)
        for number in self._heard.numbers:
            file, line = self._lines.known[number]
            reached[file].add(line)
        return {file: _of(set(_counted(module)), reached[file]) for file, module in self._modules.items()}


def _of(lines: set[int], reached: set[int]) -> FileCoverage:
    return FileCoverage(tuple(sorted(lines & reached)), tuple(sorted(lines - reached)))


def _counted(module: Module) -> Iterator[int]:
    """Yield the lines on which a rule or an expression begins."""
    waiting: list[Any] = list(module.rules)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Rule) and node.default:
            continue
        if isinstance(node, Literal | Rule):
            yield node.position[0]
        waiting += children(node)
