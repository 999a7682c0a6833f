from collections.abc import Iterator

import pytest

from tests.authentication.parts import KeyServer


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    with KeyServer().running() as server:
        yield server
