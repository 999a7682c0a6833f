"""A log of decisions, scored again: what replay, explanation and calibration have in common."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from ztag_extauthz.authorization.risk.features import Features
from ztag_extauthz.authorization.risk.model import Model
from ztag_extauthz.authorization.risk.scorer import Assessment, Scorer
from ztag_extauthz.authorization.risk.state import State
from ztag_extauthz.component import private_memory
from ztag_extauthz.model import EMPTY, Identity, Peer, Request
from ztag_extauthz.stores.digest import hasher

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


STRANGER = 0.5
"""Log-odds that a first request may have above the bias and still be learned."""


class Entry(Struct, frozen=True):
    """One line of the audit log."""

    id: str
    time: float
    request: Request
    identity: Identity | None
    allowed: bool
    failed: bool
    """A credential was refused."""
    attack: bool | None
    """What somebody says it was (`"label": "attack"` or `"benign"`, added to the line); None: nobody said."""


class Scored(Struct, frozen=True):
    """An entry with its assessment, and what each signal added."""

    entry: Entry
    assessment: Assessment
    contributions: dict[str, float]

    @property
    def log_odds(self) -> float:
        return math.log(self.assessment.score) - math.log1p(-self.assessment.score)


def read(lines: Iterable[str]) -> Iterator[Entry]:
    """Yield the entries of an audit log; raises `ValueError` that names the line."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield _entry(msgspec.json.decode(line))
            except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
                raise ValueError(f"line {number} is no record of the audit log: {error!r}") from error


def _entry(record: dict[str, Any]) -> Entry:
    sent, who = record["request"], record.get("identity")
    request = Request(
        id=sent.get("id", ""),
        method=sent.get("method", ""),
        scheme=sent.get("scheme", ""),
        host=sent.get("host", ""),
        path=sent.get("path", ""),
        protocol=sent.get("protocol", ""),
        headers=sent.get("headers", EMPTY),
        repeated=frozenset(),
        body=None,
        partial=False,
        source=Peer(sent.get("sourceAddress", "")),
        destination=Peer(),
        context_extensions=EMPTY,
        is_http=True,
        defect="",
        attributes=lambda *_: {},
    )
    identity = Identity(who.get("subject", ""), who.get("issuer", ""), who.get("kind", "")) if who else None
    label: Literal["attack", "benign"] | None = record.get("label")
    return Entry(
        record.get("id", ""),
        datetime.fromisoformat(record["time"]).timestamp(),
        request,
        identity,
        record["outcome"] == "allow",
        record.get("reason") == "invalid_credentials",
        None if label is None else label == "attack",
    )


def replay(entries: Iterable[Entry], scorer: Scorer, learn_below: float) -> Iterator[Scored]:
    """Score a log as the server would have: learning what was allowed and scores below the threshold."""
    for entry in entries:
        assessment = scorer.assess(entry.request, entry.identity, entry.time)
        yield Scored(entry, assessment, scorer.contributions())
        learned = entry.allowed and assessment.score < learn_below
        if learned:
            scorer.learn(assessment.handle)
        if learned or entry.failed:
            scorer.outcome(entry.request, entry.identity, entry.time, failed=entry.failed)


def new_scorer(model: Model, **features: Any) -> Scorer:
    """Return a scorer that knows nobody yet."""
    state = State(private_memory)
    return Scorer(state, Features(hasher(state.seed), **features), model)


def calibrate(scored: Sequence[Scored], model: Model, elevated: float, high: float) -> Model:
    """Return the model whose bands begin where these shares of the benign requests are above them.

    Where the log says of some requests that they were attacks, the log-odds are fitted to that, too (Platt's scaling).
    Raises `ValueError` where there are too few requests for such shares.
    """
    benign = sorted(one.log_odds for one in scored if one.entry.allowed and one.entry.attack is not True)
    needed = math.ceil(10 / high)
    if len(benign) < needed:
        raise ValueError(f"{len(benign)} benign requests are too few: a share of {high:.2%} takes {needed} at least")
    slope, shift = _platt([(one.log_odds, one.entry.attack) for one in scored if one.entry.attack is not None])
    bias = model.bias * slope + shift
    # A user who was never seen before has to stay below: who is never learned would be a stranger for ever.
    stranger = bias + STRANGER * slope
    limits = [max(stranger, slope * _quantile(benign, 1 - share) + shift) for share in (elevated, high)]
    return Model(
        {name: weight * slope for name, weight in model.weights.items()},
        bias,
        *(min(0.999999, _probability(limit) * (1 + 1e-9)) for limit in limits),
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)))]


def _probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, log_odds))))


def _platt(labelled: Sequence[tuple[float, bool]]) -> tuple[float, float]:
    """Return slope and shift of the logistic regression of labels on log-odds (Newton's method, lightly damped)."""
    if len({attack for _, attack in labelled}) < 2:
        return 1.0, 0.0
    slope, shift = 1.0, 0.0
    for _ in range(50):
        to_slope = to_shift = 0.0
        a, b, c = 1e-3, 0.0, 1e-3
        for value, attack in labelled:
            guess = _probability(slope * value + shift)
            error, weight = guess - attack, guess * (1 - guess)
            to_slope, to_shift = to_slope + error * value, to_shift + error
            a, b, c = a + weight * value * value, b + weight * value, c + weight
        determinant = a * c - b * b
        slope -= max(-0.5, min(0.5, (c * to_slope - b * to_shift) / determinant))
        shift -= max(-2.0, min(2.0, (a * to_shift - b * to_slope) / determinant))
        slope = max(0.05, slope)
    return slope, shift
