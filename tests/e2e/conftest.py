"""One stack for each engine and transport, shared by all tests that ask it."""

from collections.abc import Iterator
from itertools import product

import pytest

from tests.e2e.plans import ENGINES, TRANSPORTS, stack_for
from ztag_extauthz.demo.stack import Stack

COMBINATIONS = [f"{engine}-{transport}" for engine, transport in product(ENGINES, TRANSPORTS)]


@pytest.fixture(
    scope="session",
    params=[pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in COMBINATIONS],
)
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    engine, _, transport = request.param.partition("-")
    with stack_for(engine, transport) as running_stack:
        yield running_stack
