"""What a Rego engine has to be able to do."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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
    def explain(self, document: Value) -> "Explanation":
        """Evaluate once more, and return which rules were tried and where each of them failed."""


def load(
    modules: Mapping[str, str], data: Mapping[str, Any], decision: str, http_hosts: frozenset[str] = frozenset()
) -> PolicyEngine:
    """Compile policies (Rego text by file name) with their data; raises `PolicyError` with every mistake found.

    `http_hosts` names the hosts that `http.send` may ask.
    """
    from ztag_extauthz.authorization.embedded import Embedded  # noqa: PLC0415 - heavy

    return Embedded(modules, data, decision, http_hosts)


def decision_path(decision: str) -> tuple[str, ...]:
    """Return the parts of `envoy/authz/result`, `envoy.authz.result` or `data.envoy.authz.result`."""
    parts = tuple(part for part in decision.replace("/", ".").split(".") if part)
    return parts[1:] if parts[:1] == ("data",) and "/" not in decision else parts
