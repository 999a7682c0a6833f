"""Run the risk kernel over columns."""

import numpy as np
from numpy.typing import NDArray

from loadtest.risk.logins import Logins
from ztag_extauthz.authorization.risk import kernel
from ztag_extauthz.authorization.risk.layout import BIAS, FLOATS, HASHES, LONGS, NUMBERS
from ztag_extauthz.authorization.risk.model import Model
from ztag_extauthz.stores.digest import MASK

HASHED = ("user", "address", "network", "country", "agent", "browser", "system", "fingerprint")


def state() -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int32]]:
    floats = np.zeros(FLOATS, np.float32)
    return np.zeros(LONGS, np.int64), floats, floats.view(np.int32)


def hashed(ids: NDArray[np.int64], column: int) -> NDArray[np.int64]:
    """Return a hash of each id (splitmix64), 0 for 0: what the keyed hash of a key is in the server."""
    with np.errstate(over="ignore"):
        value = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(column << 56)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            value = (value ^ (value >> np.uint64(shift))) * np.uint64(factor)
        value ^= value >> np.uint64(31)
    return np.where(ids == 0, 0, (value & np.uint64(MASK)).astype(np.int64))


def score(logins: Logins, limit: float, model: Model) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scores and signals, learning what scores below `limit`; a user passes the step-up above it."""
    count = len(logins.time)
    rows, facts = np.zeros((count, HASHES), np.int64), np.zeros((count, NUMBERS))
    for column, name in enumerate(HASHED):
        rows[:, column] = hashed(getattr(logins, name), column + 1)
    rows[:, HASHES - 1] = 1 << 40
    facts[:, 0], facts[:, 1], facts[:, 2], facts[:, 3], facts[:, 4] = (
        logins.time,
        logins.latitude,
        logins.longitude,
        1,
        -1,
    )
    signals, scores = np.zeros((count, BIAS)), np.zeros(count)
    ended, vouched = np.full(count, -1, np.int8), (logins.attacker == 0).astype(np.int8)
    kernel.observe_many(*state(), rows, facts, np.array(model.row()), ended, vouched, limit, signals, scores)
    return scores, signals
