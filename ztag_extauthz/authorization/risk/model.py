"""What the scorer knows of the world: a weight a signal, and where the bands begin. Made by `ztag risk calibrate`."""

from __future__ import annotations

import json
import math
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import Struct

from ztag_extauthz.authorization.risk.layout import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VERSION = 1


class Band(StrEnum):
    """How risky a request is, in the operator's words."""

    LOW = "low"
    ELEVATED = "elevated"
    HIGH = "high"


WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "address": 1.3,
        "agent": 0.3,
        "device": 0.4,
        "account": 0.3,
        "travel": 1.0,
        "hour": 0.4,
        "route": 0.3,
        "burst_user_address": 0.9,
        "burst_address_route": 0.7,
        "burst_user_route": 0.7,
        "burst_user": 0.9,
        "burst_address": 0.7,
        "users_of_address": 1.0,
        "addresses_of_user": 1.2,
        "failures_of_address": 1.8,
        "failures_of_user": 1.5,
        "token_age": 0.1,
        "threat_list": 4.0,
    }
)
"""Signals are log-likelihood ratios (or logarithms of how far something is over the usual); a weight below 1 says how
much of it other signals have said already."""
BIAS = -6.0
"""One request in four hundred is an attack."""


class Model(Struct, frozen=True):
    """Weights, and the scores at which the bands begin."""

    weights: Mapping[str, float] = WEIGHTS
    bias: float = BIAS
    elevated: float = 0.5
    high: float = 0.9

    def band(self, score: float) -> Band:
        if score < self.elevated:
            return Band.LOW
        return Band.ELEVATED if score < self.high else Band.HIGH

    def row(self) -> list[float]:
        """Return the kernel's weights."""
        return [*(self.weights[signal] for signal in SIGNALS), self.bias]


def read_model(path: Path) -> Model:
    """Read a model file; raises `ValueError` that says what is wrong with it."""
    document = json.loads(path.read_text("utf-8"))
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise ValueError(f"no model of version {VERSION}: make one with `ztag risk calibrate`")
    weights, thresholds = document.get("weights"), document.get("thresholds")
    if not isinstance(thresholds, dict) or not isinstance(weights, dict) or set(weights) != set(SIGNALS):
        raise ValueError(
            f"`thresholds` must be there, and `weights` must have exactly these signals: {', '.join(SIGNALS)}"
        )
    try:
        model = Model(
            {signal: float(weights[signal]) for signal in SIGNALS},
            float(document["bias"]),
            float(thresholds["elevated"]),
            float(thresholds["high"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"`bias` and `thresholds` (`elevated`, `high`) must be numbers: {error}") from error
    if not all(math.isfinite(number) for number in model.row()) or not 0 < model.elevated <= model.high <= 1:
        raise ValueError("numbers must be finite, and 0 < elevated <= high <= 1")
    return model


def write_model(path: Path, model: Model, notes: Mapping[str, object]) -> None:
    """Write a model file, with notes on the data that it was made from."""
    document = {
        "version": VERSION,
        "bias": model.bias,
        "thresholds": {"elevated": model.elevated, "high": model.high},
        "weights": dict(model.weights),
        "notes": dict(notes),
    }
    path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
