"""The scorer: request and identity in, an assessment out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from ztag_extauthz.authorization.risk.layout import ADDRESS, BIAS, HASHES, NUMBERS, SIGNALS, TOP, USER
from ztag_extauthz.authorization.risk.notes import Notes

if TYPE_CHECKING:
    from collections.abc import Callable, MutableSequence, Sequence

    from ztag_extauthz.authorization.risk.features import Features
    from ztag_extauthz.authorization.risk.model import Band, Model
    from ztag_extauthz.authorization.risk.state import State
    from ztag_extauthz.model import Identity, Request


WORTH_SAYING = 0.1
"""Log-odds below which a signal is not named."""
_RANKS = range(BIAS, BIAS + TOP)
_NOTED = 8 * (ADDRESS + 1)
"""Bytes of a row that the outcome of a request needs: the first columns, user and address."""


class Assessment(Struct, frozen=True):
    """How risky one request is, and why."""

    score: float
    """Probability of an attack, as far as the model is calibrated."""
    band: Band
    top: dict[str, float]
    """The signals that add most, and what they add to the log-odds."""
    handle: bytes
    """What `learn` needs."""


def _view(row: Any) -> Any:
    """Return the row as a memoryview, which reads and writes one number in half of numpy's time."""
    return memoryview(row.data)


class Scorer:
    """One worker's scorer over the node's state. Its rows are made once: a request allocates no array."""

    def __init__(self, state: State, features: Features, model: Model) -> None:
        import numpy as np  # noqa: PLC0415 - heavy, and only needed where risk is scored

        from ztag_extauthz.stores.kernels import warm  # noqa: PLC0415 - numba: likewise

        warm("ztag_extauthz.authorization.risk.kernel")
        from ztag_extauthz.authorization.risk import kernel  # noqa: PLC0415 - likewise

        self._kernel = kernel
        self._state: tuple[Any, Any, Any] = (state.longs, state.floats, state.ints)
        self._features = features
        # Hashes and numbers lie behind each other, so that one copy keeps both.
        self._rows = np.zeros(HASHES + NUMBERS, np.int64)
        self._row, self._facts = self._rows[:HASHES], self._rows[HASHES:].view(np.float64)
        self._signals = np.zeros(BIAS + TOP, np.float64)
        self._bytes = memoryview(self._rows.data).cast("B")
        self._row_view: MutableSequence[int] = _view(self._row)
        self._facts_view: MutableSequence[float] = _view(self._facts)
        self._signals_view: Sequence[float] = _view(self._signals)
        self.tell: Callable[..., None] | None = None
        """Is told of each outcome, where other replicas want to know: user, address, `failed`."""
        self._notes = Notes(state.seed, _NOTED)
        self._model, self._weights = model, np.array(model.row(), np.float64)

    def assess(self, request: Request, identity: Identity | None, now: float) -> Assessment:
        """Count the request and return how risky it is; nothing is learned from it yet."""
        self._features.fill(self._row_view, self._facts_view, request, identity, now)
        score = self._kernel.observe(*self._state, self._row, self._facts, self._weights, self._signals)
        return Assessment(score, self._model.band(score), self._top(), bytes(self._bytes))

    def _top(self) -> dict[str, float]:
        signals, top = self._signals_view, {}
        for place in _RANKS:
            signal = int(signals[place])
            if (value := signals[signal]) < WORTH_SAYING:
                break
            top[SIGNALS[signal]] = round(value, 2)
        return top

    def contributions(self) -> dict[str, float]:
        """Return what each signal added to the log-odds of the request that was assessed last."""
        return dict(zip(SIGNALS, self._signals.tolist(), strict=False))

    def learn(self, handle: bytes) -> None:
        """Learn a request that was allowed, below the step-up threshold or after a passed step-up."""
        self._bytes[:] = handle
        self._kernel.learn(*self._state, self._row, self._facts)

    def note(self, handle: bytes, now: float) -> str:
        """Return what `ended` needs, as a text: keyed hashes, which tell nobody else anything."""
        return self._notes.write(handle[:_NOTED], now)

    def ended(self, note: str, now: float, *, failed: bool) -> None:
        """Note how a request ended that was allowed. Raises `NoteError`."""
        self._bytes[:_NOTED] = self._notes.read(note, now)
        self._note(now, failed=failed)

    def outcome(self, request: Request, identity: Identity | None, now: float, *, failed: bool) -> None:
        """Note how an attempt to authenticate ended, or what the upstream answered (401 and 403 are failures)."""
        self._features.fill(self._row_view, self._facts_view, request, identity, now)
        self._note(now, failed=failed)

    def _note(self, now: float, *, failed: bool) -> None:
        self._kernel.outcome(*self._state, self._row, now, failed)
        if self.tell is not None:
            self.tell(self._row_view[USER], self._row_view[ADDRESS], failed=failed)

    def merge(self, pairs: Sequence[Sequence[int]], now: float) -> None:
        """Note what another node saw: user, address, failures and attempts."""
        import numpy as np  # noqa: PLC0415 - as above

        self._kernel.merge(*self._state, np.array(pairs, np.int64), now)
