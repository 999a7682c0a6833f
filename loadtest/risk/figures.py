"""The figures that a score is judged by."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]


def auc(scores: Floats, attack: Labels) -> float:
    """Return the area under the ROC curve: how often an attack scores above a benign event, ties counting half."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[place]
    attacks = int(attack.sum())
    return float((ranks[attack].sum() - attacks * (attacks + 1) / 2) / (attacks * (len(scores) - attacks)))


def threshold(benign: Floats, rate: float) -> float:
    """Return the score that at most this share of the benign events is above."""
    return float(np.quantile(benign, 1 - rate, method="higher"))


def above(scores: Floats, limit: float) -> float:
    """Return the share of events above a threshold."""
    return float((scores > limit).mean())
