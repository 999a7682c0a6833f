"""What a Rego engine has to be able to do."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal, TypeAlias


class Undefined(Enum):
    """The type of `UNDEFINED`: a decision that no rule gives a value, which is neither null nor false."""

    UNDEFINED = "undefined"


UNDEFINED: Literal[Undefined.UNDEFINED] = Undefined.UNDEFINED

Value: TypeAlias = Any
"""A JSON value; a Rego set may be a Python set."""


class PolicyEngine(ABC):
    """Compiled policies with their data, and the one decision that they are asked for."""

    @abstractmethod
    def evaluate(self, document: Mapping[str, Any], deadline: float) -> Value | Literal[Undefined.UNDEFINED]:
        """Return the decision for an `input` document.

        The document's numbers are `int`, `float` or `decimal.Decimal`; `deadline` is in seconds of `time.monotonic`.
        Raises `EvaluationError` where the policy fails, `DeadlineError` where it is too late.
        """


def load(modules: Mapping[str, str], data: Mapping[str, Any], decision: str) -> PolicyEngine:
    """Compile policies (Rego text by file name) with their data; raises `PolicyError` with every mistake found."""
    from ztag_extauthz.authorization.regorus_engine import RegorusEngine  # noqa: PLC0415 - heavy

    return RegorusEngine(modules, data, decision)


def decision_path(decision: str) -> tuple[str, ...]:
    """Return the parts of `envoy/authz/result`, `envoy.authz.result` or `data.envoy.authz.result`."""
    parts = tuple(part for part in decision.replace("/", ".").split(".") if part)
    return parts[1:] if parts[:1] == ("data",) and "/" not in decision else parts
