"""The embedded engine: policies compiled to Python by `ztag_extauthz.rego`, in OPA's meaning."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from time import monotonic

from ztag_extauthz.authorization.engines.interface import USUAL, PolicyEngine, Version, decision_path
from ztag_extauthz.errors import DeadlineError, EvaluationError, Mistake, PolicyError, UnsupportedError
from ztag_extauthz.rego import errors as rego
from ztag_extauthz.rego.engine import compile_policy
from ztag_extauthz.rego.explain import Explanation
from ztag_extauthz.rego.reads import Reads
from ztag_extauthz.rego.values import Value


class Embedded(PolicyEngine):
    """One compiled decision; may be asked by any thread."""

    def __init__(
        self,
        modules: Mapping[str, str],
        data: Mapping[str, Value],
        decision: str,
        http_hosts: frozenset[str] = frozenset(),
        version: Version = Version(),  # noqa: B008 - frozen
    ) -> None:
        """Compile `modules` (Rego text by file name) over `data`; raises `PolicyError` with every mistake found.

        It is an `UnsupportedError` where an OPA could answer.
        """
        self.version = version
        self.modules = modules
        self._waits = bool(http_hosts)
        point = "/".join(decision_path(decision))
        try:
            policy = compile_policy(modules, data, entry_points=(point,), http_hosts=http_hosts)
        except rego.PolicyError as error:
            unsupported = all(mistake.code == "rego_unsupported_error" for mistake in error.mistakes)
            raise (UnsupportedError if unsupported else PolicyError)(tuple(map(_mistake, error.mistakes))) from None
        self._policy, self._point = policy, point
        self._reads = policy.reads(point)
        self._ask = policy.decision(point).evaluate

    def immediate(self) -> Callable[[Value, float], Value] | None:
        return None if self._waits else self.evaluate

    async def ask(self, document: Value, deadline: float) -> Value:
        """Evaluate; in a thread where `http.send` may wait for a host."""
        if self._waits:
            return await asyncio.to_thread(self.evaluate, document, deadline)
        return self.evaluate(document, deadline)

    def evaluate(self, document: Value, deadline: float) -> Value:
        """See `ask`; blocks."""
        if monotonic() > deadline:
            raise DeadlineError("the deadline was over before the policy was asked")
        try:
            return self._ask(document, deadline=deadline)
        except rego.EvaluationError as error:
            if monotonic() > deadline:
                raise DeadlineError("the deadline was over before the policy answered") from None
            # Its text may hold values of the input: only the place and the kind are told.
            raise EvaluationError(
                f"the policy failed: {error.code} at {error.location or 'no certain place'}"
            ) from None

    def exchange(self, data: Value, version: Version) -> list[Value]:
        """Answer from other data from now on; return what is to be freed. Raises `PolicyError`.

        Not while it is asked in another thread.
        """
        before = [self._policy.data]
        try:
            self._policy.relink(data)
        except rego.PolicyError as error:
            raise PolicyError(tuple(map(_mistake, error.mistakes))) from None
        self.version = version
        return before

    def release(self) -> list[Value]:
        """Forget everything, so that nothing is left to the garbage collector; return what is to be freed.

        It is not to be asked any more.
        """
        self.version = Version()
        return [self._policy.release()]

    def reads(self) -> Reads:
        """Return what of the input and the data the decision can depend on."""
        return self._reads

    def annotations(self) -> Iterable[tuple[str, Value]]:
        return self._policy.annotations(self._point)

    def explain(self, document: Value, deadline: float) -> Explanation:
        """Return which rules were tried for an `input` document, and where each of them failed."""
        return self._policy.explain(self._point, document, deadline=deadline)


def _mistake(mistake: rego.Mistake) -> Mistake:
    what = f"{mistake.message}\n    {mistake.source.strip()}" if mistake.source.strip() else mistake.message
    place = f"{mistake.file}:{mistake.line}:{mistake.column}" if mistake.line else mistake.file
    if mistake.code == "rego_entry_point_error" and what.endswith(f" {USUAL}"):
        return Mistake("", what, f"it is asked for where no decision is named; {mistake.remedy}", "decision")
    return Mistake(place, what, mistake.remedy, "" if place else "decision")
