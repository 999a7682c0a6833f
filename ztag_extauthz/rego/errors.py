"""What can go wrong with a policy.

PolicyError        a policy does not load: every mistake that was found, each with its place
EvaluationError    an evaluation has no answer: a conflict, a limit, the deadline, a strict built-in error
└── (raised from) BuiltinError   one call of a built-in function failed; undefined unless errors are strict
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a policy, in OPA's words."""

    file: str
    line: int
    column: int
    code: str
    message: str
    source: str = ""  # the line as it stands in the file
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: {self.code}: {self.message}"
        shown = f"\n\t{self.source.strip()}" if self.source.strip() else ""
        return place + shown + (f"\n\t{self.remedy}" if self.remedy else "")


class PolicyError(Exception):
    """A policy was refused; `mistakes` holds every reason, in the order of files and lines."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = sorted(mistakes, key=lambda mistake: (mistake.file, mistake.line, mistake.column))
        super().__init__("\n".join(map(str, self.mistakes)))


class EvaluationError(Exception):
    """An evaluation ended without an answer. It must never be taken for undefined."""

    def __init__(self, code: str, message: str, location: str = "") -> None:
        self.code = code
        self.message = message
        self.location = location
        super().__init__(f"{location}: {code}: {message}" if location else f"{code}: {message}")


class LimitError(EvaluationError):
    """A size or depth limit, or the deadline, was reached."""

    def __init__(self, message: str) -> None:
        super().__init__("eval_limit_error", message)


class BuiltinError(Exception):
    """A built-in function cannot answer for these arguments: undefined, or an error if errors are strict."""

    code = "eval_builtin_error"


class OperandError(BuiltinError):
    """An argument has the wrong type or form."""

    code = "eval_type_error"


FAILURES: Final = (BuiltinError, ValueError, ArithmeticError, LookupError, TypeError)
"""What a call of a built-in ends with where it has no answer. Python's own are what nobody foresaw: as a caller may
have brought them about, they are undefined too, and not an error that a permissive proxy would let through."""
