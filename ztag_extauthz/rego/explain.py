"""Why a decision came out as it did: the rules that were tried, and the step at which each of them failed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from ztag_extauthz.rego.documents import excerpt
from ztag_extauthz.rego.errors import EvaluationError
from ztag_extauthz.rego.syntax.nodes import Module, Position
from ztag_extauthz.rego.values import UNDEFINED, Value

MAX_EVENTS: Final = 10_000
_MAX_SHOWN: Final = 120


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: a rule was `tried`, a step of it `failed`, or it `gave` a value."""

    kind: str
    file: str
    line: int
    text: str  # the line as it stands in the policy
    rule: str = ""
    values: tuple[Value, ...] = ()

    def __str__(self) -> str:
        shown = ", ".join(map(_shown, self.values))
        match self.kind:
            case "tried":
                return f"{self.file}:{self.line}  {self.rule}"
            case "gave":
                return f"    gave {shown or 'a value'}"
        return f"    failed at line {self.line}: {self.text}" + (f"   with {shown}" if shown else "")


@dataclass(frozen=True, slots=True)
class Explanation:
    value: Value
    error: EvaluationError | None
    events: tuple[Event, ...]
    withheld: bool = False

    def __str__(self) -> str:
        end = f"error: {self.error}" if self.error else f"value: {'withheld' if self.withheld else _shown(self.value)}"
        return "\n".join([*map(str, self.events), end])

    def without_values(self) -> "Explanation":
        """Keep what says nothing of the input: rules, lines, the error's code and place, and whether it is true."""
        error = self.error and EvaluationError(self.error.code, "its text is withheld", self.error.location)
        if self.value is UNDEFINED or isinstance(self.value, bool):
            return Explanation(self.value, error, tuple(map(_without_values, self.events)))
        return Explanation(None, error, tuple(map(_without_values, self.events)), withheld=True)


@dataclass(slots=True)
class Recorder:
    """Hears a traced evaluation."""

    events: list[tuple[str, int, tuple[Value, ...]]] = field(default_factory=list)

    def _add(self, kind: str, place: int, values: tuple[Value, ...] = ()) -> None:
        if len(self.events) < MAX_EVENTS:
            self.events.append((kind, place, values))

    def entered(self, rule: int) -> None:
        self._add("tried", rule)

    def failed(self, step: int, values: tuple[Value, ...]) -> None:
        self._add("failed", step, values)

    def gave(self, rule: int, value: Value) -> None:
        self._add("gave", rule, (value,))


class Places:
    """The places in the modules that the numbers in traced code stand for."""

    def __init__(self, modules: Mapping[str, Module]) -> None:
        self._modules = modules
        self._places: list[tuple[str, int, str]] = []

    def add(self, file: str, position: Position, rule: str = "") -> int:
        self._places.append((file, position[0], rule))
        return len(self._places) - 1

    def explanation(self, recorder: Recorder, value: Value, error: EvaluationError | None) -> Explanation:
        return Explanation(value, error, tuple(self._event(*event) for event in recorder.events))

    def _event(self, kind: str, place: int, values: tuple[Value, ...]) -> Event:
        file, line, rule = self._places[place]
        module = self._modules.get(file)
        return Event(kind, file, line, module.line(line).strip() if module else "", rule, values)


def _without_values(event: Event) -> Event:
    truths = tuple(value for value in event.values if isinstance(value, bool)) if event.kind == "gave" else ()
    return replace(event, values=truths)


def _shown(value: Value) -> str:
    return "undefined" if value is UNDEFINED else excerpt(value, _MAX_SHOWN)
