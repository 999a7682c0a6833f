"""Those who are told what was decided, and how requests ended: reporters, and authorizers that learn."""

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest

from msgspec import Struct

from ztag_extauthz.again import NOTHING, Again, Told
from ztag_extauthz.authorization.interface import Authorizer
from ztag_extauthz.background import complain
from ztag_extauthz.model import Allow, Decision, Ended, Request
from ztag_extauthz.reporting.interface import Reporter


class Listener(Struct, frozen=True):
    """One of them, and how it is told."""

    kind: str
    tell: Callable[[Request, Decision], None]
    told: Told | None = None
    """Tells that the same was decided on a request like one that it was told of; None where it has to read each."""


class Listeners:
    """All of them. No method raises: an answer does not depend on who hears of it."""

    def __init__(self, reporters: Sequence[Reporter], authorizers: Sequence[Authorizer]) -> None:
        self._reporters = reporters
        self._authorizers = authorizers
        self._all = [
            *(Listener(one.kind, one.report) for one in reporters),
            *(Listener(one.kind, one.learn) for one in authorizers if one.learns),
        ]
        self._endings = {kind.kind: kind.ended for kind in authorizers if type(kind).ended is not Authorizer.ended}
        self._faulty: set[str] = set()

    def tell(self, request: Request, decision: Decision) -> None:
        """Tell what was answered. The first fault of each kind goes to stderr."""
        for one in self._all:
            try:
                one.tell(request, decision)
            except Exception as error:  # noqa: BLE001 - see the class
                self._complain(one.kind, error)
        if not isinstance(decision.verdict, Allow):
            self.void(decision.notes)

    def again(self, request: Request, decision: Decision, said: Sequence[Again]) -> Sequence[Listener]:
        """Return who is to be told that the same was decided on requests like this one; may raise.

        `said`: by each of the authorizers that was asked.
        """
        reporters = (Listener(one.kind, one.report, one.again(request, decision)) for one in self._reporters)
        told = [again.learn for again in said] if isinstance(decision.verdict, Allow) else []
        pairs = zip_longest(self._authorizers, told)
        learners = (Listener(one.kind, one.learn, learn) for one, learn in pairs if one.learns)
        return tuple(one for one in (*reporters, *learners) if one.told is not NOTHING)

    def tell_again(
        self,
        listeners: Sequence[Listener],
        new: tuple[str, float, bytes],
        read: Callable[[], tuple[Request, Decision]],
    ) -> None:
        """Tell that the same was decided once more (`new`: see `Told`); `read` is for those who need the request."""
        found: tuple[Request, Decision] | None = None
        for one in listeners:
            try:
                if one.told is not None:
                    one.told(*new)
                else:
                    found = found or read()
                    one.tell(*found)
            except Exception as error:  # noqa: BLE001 - see the class
                self._complain(one.kind, error)

    def void(self, notes: Mapping[str, str]) -> None:
        """Tell who noted something of a request that it goes no further."""
        for kind, note in notes.items():
            self.end(Ended(kind, note, 0))

    @property
    def await_ends(self) -> bool:
        """Whether anybody wants to be told how requests end."""
        return bool(self._endings)

    def end(self, ended: Ended) -> None:
        """Tell the authorizer that noted something of a request how that ended."""
        tell = self._endings.get(ended.kind)
        if tell is not None:
            try:
                tell(ended.note, ended.status)
            except Exception as error:  # noqa: BLE001 - see the class
                self._complain(ended.kind, error)

    def _complain(self, kind: str, error: Exception) -> None:
        if kind not in self._faulty:
            self._faulty.add(kind)
            complain(f"ztag: {kind} cannot take note of decisions: {type(error).__name__}")
