"""What all tests share: properties are tried on the same examples in every run, so that a run can be repeated.

A first example may generate a key or compile a kernel, which takes as long as it takes: none has a deadline.
`HYPOTHESIS_PROFILE=fresh` tries others.
"""

import os
from collections.abc import Iterator

import hypothesis
import pytest

from tests.authentication.parts import KeyServer

hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True)
hypothesis.settings.register_profile("fresh", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    with KeyServer().running() as server:
        yield server
