"""Where everything is in the risk scorer's shared memory: 56 MiB, whatever the traffic.

    longs   int64    counters · profiles (8 words a user) · spreads (8 words an address or user)
    floats  float32  cells of bursts (4 a cell) · cells of failures (4) · counts of values (2)
    ints    int32    the same memory as `floats`: the last column of a cell is its time

A profile, one cache line: tag · last seen and where · hours of the week · five contexts that the user comes from.
A spread, one cache line: tag · epoch · three words of 16 registers for this window, three for the window before it.
"""

from typing import Final

EPOCH: Final = 1_735_689_600
"""Times are stored as tenths of a second since 2025, in 32 bits."""

USER, ADDRESS, NETWORK, COUNTRY, AGENT, BROWSER, SYSTEM, FINGERPRINT, ROUTE = range(9)
"""Columns of a row of hashes; 0 where there is nothing."""
HASHES: Final = 9

NOW, LATITUDE, LONGITUDE, LOCATED, TOKEN_AGE, LISTED = range(6)
"""Columns of a row of numbers: Unix seconds, degrees, 1 if they are known, seconds (negative: unknown), 1 if listed."""
NUMBERS: Final = 6

SIGNALS: Final = (
    "address",
    "agent",
    "device",
    "account",
    "travel",
    "hour",
    "route",
    "burst_user_address",
    "burst_address_route",
    "burst_user_route",
    "burst_user",
    "burst_address",
    "users_of_address",
    "addresses_of_user",
    "failures_of_address",
    "failures_of_user",
    "token_age",
    "threat_list",
)
BURST: Final = SIGNALS.index("burst_user_address")
BURSTS: Final = 5
BIAS: Final = len(SIGNALS)
"""The weights' last one is added to the sum: log-odds of an attack before anything is known."""

TOP: Final = 3
"""Behind the signals the kernel puts the places of the three that add most."""

# longs
REQUESTS, USERS = 0, 1
DISTINCT: Final = 8
"""Counters: requests learned, users known, and from here on how many values of each hash column are known."""
PROFILES: Final = 64
PROFILE_COUNT: Final = 1 << 19
WORDS: Final = 8
TAG, SEEN, HOURS, CONTEXTS = 0, 1, 2, 3
CONTEXT_COUNT: Final = 5
SPREADS: Final = PROFILES + PROFILE_COUNT * WORDS
SPREAD_COUNT: Final = 1 << 16
EPOCH_WORD, NEW, OLD = 1, 2, 5
REGISTERS: Final = 48
SPREAD_WINDOW: Final = 600.0
"""Seconds: a spread looks back one to two windows."""
LONGS: Final = SPREADS + SPREAD_COUNT * WORDS

# floats and ints
CELL_COUNT: Final = 1 << 20
FAST, MID, SLOW, TICK = range(4)
TAUS: Final = (10.0, 300.0, 21_600.0)
"""Seconds in which a count fades to 1/e: a burst, a run, and the ordinary that they are compared with."""
PRIOR: Final = (5.0, 20.0)
"""What nobody is surprised at: requests of a new key in the first two times."""
MERGE: Final = 3.0
"""A count more unusual than this is not learned as ordinary (MIDAS-F): so a flood cannot make itself ordinary."""
FAILURES: Final = CELL_COUNT * 4
FAILURE_COUNT: Final = 1 << 17
FAILED, TRIED = 0, 1
FAILURE_TAU: Final = 3600.0
VALUES: Final = FAILURES + FAILURE_COUNT * 4
VALUE_COUNT: Final = 1 << 18
VALUE_TAU: Final = 30 * 86_400.0
FLOATS: Final = VALUES + VALUE_COUNT * 2

BYTES: Final = LONGS * 8 + FLOATS * 4
