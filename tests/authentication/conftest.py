from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.authentication.parts import KeyServer
from tests.authentication.rig import Rig

# The first example generates a key, which takes as long as it takes.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    with KeyServer().running() as server:
        yield server


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)
