"""What a Rego engine has to be able to do."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from ztag_extauthz.rego.values import Value

if TYPE_CHECKING:
    from ztag_extauthz.rego.explain import Explanation
    from ztag_extauthz.rego.reads import Reads


class PolicyEngine(ABC):
    """Compiled policies with their data, and the one decision that they are asked for."""

    @abstractmethod
    def evaluate(self, document: Value, deadline: float) -> Value:
        """Return the decision for an `input` document, `rego.UNDEFINED` where no rule gives it a value.

        Both are values of `rego/values.py`; `deadline` is in seconds of `time.monotonic`. Raises `EvaluationError`
        where the policy fails, `DeadlineError` where it is too late.
        """

    @abstractmethod
    def reads(self) -> "Reads":
        """Return what of the input and the data the decision can depend on."""

    @abstractmethod
    def explain(self, document: Value, deadline: float) -> "Explanation":
        """Evaluate once more, until the deadline; return which rules were tried and where each of them failed."""


def decision_path(decision: str) -> tuple[str, ...]:
    """Return the parts of `envoy/authz/result`, `envoy.authz.result` or `data.envoy.authz.result`."""
    parts = tuple(part for part in decision.replace("/", ".").split(".") if part)
    return parts[1:] if parts[:1] == ("data",) and "/" not in decision else parts
