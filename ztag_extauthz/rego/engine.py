"""The engine: modules and data in, decisions out."""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ztag_extauthz.rego.analysis.analyse import Analysis, analyse, analyse_query, annotations_of
from ztag_extauthz.rego.analysis.conflicts import check_conflicts, check_entry_points, defines
from ztag_extauthz.rego.analysis.dependencies import Dependencies
from ztag_extauthz.rego.builtins.interface import Context
from ztag_extauthz.rego.compile.link import Linked
from ztag_extauthz.rego.compile.policy import PolicyCompiler
from ztag_extauthz.rego.documents import dumps
from ztag_extauthz.rego.errors import EvaluationError, LimitError, Mistake, PolicyError
from ztag_extauthz.rego.explain import Explanation, Places, Recorder
from ztag_extauthz.rego.lower.names import fixed_path
from ztag_extauthz.rego.pace import evaluation
from ztag_extauthz.rego.reads import UNKNOWN, Reads
from ztag_extauthz.rego.runtime.evaluation import State
from ztag_extauthz.rego.values import UNDEFINED, Value

__all__ = ["UNDEFINED", "Decision", "EvaluationError", "LimitError", "Mistake", "Policy", "PolicyError", "dumps"]


def compile_policy(
    modules: Mapping[str, str],
    data: Value | None = None,
    *,
    entry_points: Sequence[str] = (),
    queries: Sequence[str] = (),
    http_hosts: frozenset[str] = frozenset(),
) -> "Policy":
    """Compile modules (text by file name) for some entry points, such as `envoy/authz/allow`.

    `http_hosts` names the hosts (`name` or `name:port`) that `http.send` may ask; without any it is refused.
    A `PolicyError` holds every mistake in the modules, and what of them cannot be answered as OPA would.
    """
    with _without_collector():
        try:
            analysis = analyse(modules, reaches_out=bool(http_hosts))
            return Policy(analysis, {} if data is None else data, entry_points, queries, http_hosts)
        except RecursionError:
            raise PolicyError([Mistake("", 0, 0, "rego_compile_error", "the policy is nested too deeply")]) from None


@contextmanager
def _without_collector() -> Iterator[None]:
    """Stop the garbage collector: looking through all that a large policy makes takes longer than making it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Policy:
    """A compiled policy. It holds no state of evaluations, and may be used by several threads."""

    def __init__(
        self,
        analysis: Analysis,
        data: Value,
        entry_points: Sequence[str],
        queries: Sequence[str],
        http_hosts: frozenset[str],
    ) -> None:
        self._http_hosts = http_hosts
        check_conflicts(analysis.tree, data)
        self._tree = analysis.tree
        self._modules = analysis.modules
        self._traced: dict[str, tuple[Linked, str, Places]] = {}
        self._overrides = list(analysis.overrides)
        check_entry_points(analysis.tree, data, entry_points)
        read = {text: analyse_query(text, analysis) for text in queries}
        overrides = [*analysis.overrides, *(item for _, _, items in read.values() for item in items)]
        compiler = PolicyCompiler(analysis.tree, overrides)
        own = {text: compiler.query(steps, names, "query") for text, (steps, names, _) in read.items()}
        starts = {point: compiler.entry(tuple(point.strip("/").split("/"))) for point in entry_points}
        compiler.drain()
        self._linked = Linked(compiler, data)
        self._queries = {text: self._linked.function(name) for text, name in own.items()}
        self._decisions = {
            point: Decision(point, self._linked.function(name), self._linked, http_hosts)
            for point, name in starts.items()
        }

    def defines(self, entry_point: str) -> bool:
        """Tell whether a path is a rule, a package, something within one of them, or a base document."""
        return defines(self._tree, self._linked.data, entry_point)

    def decision(self, entry_point: str) -> "Decision":
        """Give an entry point that the policy was compiled for."""
        return self._decisions[entry_point]

    def query(
        self, text: str, input_document: Value = UNDEFINED, *, strict: bool = False, deadline: float | None = None
    ) -> list[Value]:
        """Give the variables of a query that the policy was compiled for, once for each solution."""
        context = Context(input_document, strict=strict, deadline=deadline, http_hosts=self._http_hosts)
        return _run(self._queries[text], State(input_document, self._linked.data, context))  # type: ignore[no-any-return]

    def reads(self, entry_point: str) -> Reads:
        """Give what an entry point can depend on."""
        try:
            return Dependencies(self._tree, self._overrides).of(tuple(entry_point.strip("/").split("/")))
        except RecursionError:
            return UNKNOWN

    def annotations(self, entry_point: str) -> Iterator[tuple[str, Value]]:
        """Yield the annotations of the rules that an entry point may evaluate, and of their packages, with the rule."""
        rules, modules = self.reads(entry_point).rules, list(self._modules.values())
        for module in modules:
            for rule in module.rules:
                if fixed_path(module, rule) in rules:
                    for note in annotations_of(rule, module, modules):
                        yield f"{module.file}:{rule.position[0]}", note.get("annotations", {})

    def explain(
        self, entry_point: str, input_document: Value = UNDEFINED, *, deadline: float | None = None
    ) -> Explanation:
        """Evaluate once more by code that tells which rules were tried, and which step of each failed."""
        if entry_point not in self._traced:
            places = Places(self._modules)
            compiler = PolicyCompiler(self._tree, self._overrides, places)
            name = compiler.entry(tuple(entry_point.strip("/").split("/")))
            compiler.drain()
            self._traced[entry_point] = Linked(compiler, self._linked.data), name, places
        linked, name, places = self._traced[entry_point]
        recorder = Recorder()
        context = Context(input_document, deadline=deadline, http_hosts=self._http_hosts)
        state = State(input_document, linked.data, context, recorder)
        error: EvaluationError | None = None
        value: Value = UNDEFINED
        try:
            value = _run(linked.function(name), state)
        except EvaluationError as failure:
            error = failure
        return places.explanation(recorder, value, error)

    def relink(self, data: Value) -> None:
        """Exchange the base documents. Not while evaluations are under way in other threads."""
        check_conflicts(self._tree, data)
        self._linked.relink(data)
        self._traced.clear()

    @property
    def data(self) -> Value:
        """The base documents."""
        return self._linked.data

    def release(self) -> Value:
        """Forget everything, and give the base documents back: what is left has no cycles, and goes at once."""
        data = self._linked.data
        self._linked.release()
        self._decisions.clear()
        self._traced.clear()
        return data

    def source(self) -> str:
        """Give the Python that the policy was compiled to, with comments that say from what."""
        return self._linked.listing()


class Decision:
    """One entry point of a policy."""

    def __init__(
        self, entry_point: str, function: Callable[[State], Value], linked: Linked, http_hosts: frozenset[str]
    ) -> None:
        self.entry_point = entry_point
        self._http_hosts = http_hosts
        self._function = function
        self._linked = linked

    def evaluate(
        self, input_document: Value = UNDEFINED, *, deadline: float | None = None, strict: bool = False
    ) -> Value:
        """Give the value for an input, or `UNDEFINED`; `deadline` is in seconds of `time.monotonic`."""
        context = Context(input_document, deadline=deadline, strict=strict, http_hosts=self._http_hosts)
        return _run(self._function, State(input_document, self._linked.data, context))


@evaluation(clock="state")
def _run(function: Callable[[State], Value], state: State) -> Any:
    try:
        return function(state)
    except RecursionError:
        raise LimitError("the evaluation is nested too deeply") from None
    except MemoryError:
        raise LimitError("the evaluation needs too much memory") from None
