"""What can go wrong.

    ZtagError
    ├── MistakesError          all mistakes of one load at once
    │   ├── SettingsError      the configuration cannot be used
    │   └── PolicyError        a policy, its data or a bundle cannot be used
    │       └── UnsupportedError   by the embedded engine, that is: OPA may
    ├── MessageError           the bytes are no CheckRequest
    └── CheckError             we could not find out: each has the `Reason` it is reported with
        ├── EvaluationError    the policy gave no usable answer
        ├── UnavailableError   a dependency is down
        ├── DeadlineError      the caller's deadline is over
        └── OverloadedError    too many requests at once

A refusal is not among them: it is a value (`model.Deny`).
"""

from typing import ClassVar

from msgspec import Struct
from msgspec.structs import replace

from ztag_extauthz.model import Reason


class ZtagError(Exception):
    """Anything that ztag itself raises."""


class Mistake(Struct, frozen=True):
    """One mistake: where it is, what is wrong, and what would be right."""

    where: str
    """`authentication[0].issuer`, `policy/authz.rego:12:3` …"""
    what: str
    remedy: str = ""
    setting: str = ""
    """What led there: `authorization[0].policies`; "" where `where` says it already."""

    def __str__(self) -> str:
        place = ": ".join(filter(None, (self.setting, self.where, self.what)))
        return place + (f" ({self.remedy})" if self.remedy else "")


class MistakesError(ZtagError):
    """Every mistake of one load, so that nobody has to find them one by one."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes

    def of(self, setting: str) -> tuple[Mistake, ...]:
        """Return the mistakes as a section's: of `authorization[0]`, `policies` is `authorization[0].policies`."""
        return tuple(
            replace(mistake, setting=f"{setting}.{mistake.setting}" if mistake.setting else setting)
            for mistake in self.mistakes
        )


class SettingsError(MistakesError):
    """The configuration cannot be used."""


class PolicyError(MistakesError):
    """A policy, its data or a bundle cannot be used."""


class UnsupportedError(PolicyError):
    """The embedded engine lacks what a policy needs; nothing else is wrong with it."""


class MessageError(ZtagError):
    """The bytes are no CheckRequest."""


class CheckError(ZtagError):
    """We could not find out."""

    reason: ClassVar[Reason] = Reason.INTERNAL
    policy_revision: str = ""
    """Which policies were asked."""


class EvaluationError(CheckError):
    """The policy was undefined, failed, or answered with something of the wrong type."""

    reason = Reason.EVALUATION


class UnavailableError(CheckError):
    """A dependency (keys, OPA, a store) is down."""

    reason = Reason.UNAVAILABLE


class DeadlineError(CheckError):
    """The caller's deadline is over: an answer would come too late."""

    reason = Reason.DEADLINE


class OverloadedError(CheckError):
    """Too many requests are in flight; better a quick error than a late answer."""

    reason = Reason.OVERLOADED
