from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.authentication.parts import KeyServer
from tests.authentication.rig import Rig


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    with KeyServer().running() as server:
        yield server


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)
