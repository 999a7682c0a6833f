"""What a Rego engine has to be able to do."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from ztag_extauthz.rego.values import Value


class PolicyEngine(ABC):
    """Compiled policies with their data, and the one decision that they are asked for."""

    @abstractmethod
    def evaluate(self, document: Value, deadline: float) -> Value:
        """Return the decision for an `input` document, `rego.UNDEFINED` where no rule gives it a value.

        Both are values of `rego/values.py`; `deadline` is in seconds of `time.monotonic`. Raises `EvaluationError`
        where the policy fails, `DeadlineError` where it is too late.
        """


def load(modules: Mapping[str, str], data: Mapping[str, Any], decision: str) -> PolicyEngine:
    """Compile policies (Rego text by file name) with their data; raises `PolicyError` with every mistake found."""
    from ztag_extauthz.authorization.embedded import Embedded  # noqa: PLC0415 - heavy

    return Embedded(modules, data, decision)


def decision_path(decision: str) -> tuple[str, ...]:
    """Return the parts of `envoy/authz/result`, `envoy.authz.result` or `data.envoy.authz.result`."""
    parts = tuple(part for part in decision.replace("/", ".").split(".") if part)
    return parts[1:] if parts[:1] == ("data",) and "/" not in decision else parts
