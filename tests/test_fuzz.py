"""What `make fuzz` begins with, in seconds: the good inputs of each target, its seeds, and a few changed ones."""

import asyncio
import re
from pathlib import Path
from typing import Any, Final

import pytest

from loadtest.fuzz.mutator import Mutator
from loadtest.fuzz.runner import SEEDS, seeds, targets

CHANGED: Final = 40
"""Changed inputs of each target."""
BUILDS: Final = {build.__name__: build for build in targets()}


@pytest.mark.parametrize("name", BUILDS)
def test_no_seed_is_a_finding(name: str, tmp_path: Path) -> None:
    asyncio.run(_replay(name, BUILDS[name], tmp_path))


async def _replay(name: str, build: Any, folder: Path) -> None:
    target = build(folder)
    mutator = Mutator(target.corpus, target.words, seed=1)
    for given in (*target.corpus, *seeds(name), *(mutator.next() for _ in range(CHANGED))):
        try:
            target.take(given)
        except target.expected:
            continue


def test_seeds_belong_to_targets() -> None:
    assert {folder.name for folder in SEEDS.iterdir()} <= set(BUILDS)


def test_the_security_page_lists_what_fuzzing_found() -> None:
    page = (SEEDS.parents[2] / "docs/security.md").read_text()
    listed = set(re.findall(r"^\| `([a-z_]+/[a-z0-9-]+)` ", page, re.MULTILINE))
    assert listed == {
        f"{seed.parent.name}/{seed.name}" for seed in SEEDS.glob("*/*") if not re.fullmatch("[0-9a-f]{16}", seed.name)
    }
