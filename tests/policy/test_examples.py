"""The example policies keep what their own tests say."""

import re
from pathlib import Path
from time import monotonic

import pytest

from ztag_extauthz.authorization.regorus_engine import RegorusEngine

ROOT = Path(__file__).parents[2]
FILES = {path.name: path.read_text() for path in (ROOT / "policy/envoy").glob("*.rego")}
TESTS = re.findall(r"^(test_\w+) if", FILES["authz_test.rego"], re.MULTILINE)


def test_there_are_tests() -> None:
    assert len(TESTS) >= 10


@pytest.mark.parametrize("name", TESTS)
def test_policy(name: str) -> None:
    engine = RegorusEngine(FILES, {}, f"envoy/authz_test/{name}")
    assert engine.evaluate({}, monotonic() + 30) is True
