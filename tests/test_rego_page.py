"""docs/rego.md says what the engine does: its names, its limits, what the commands print."""

import re

import pytest

from tests.rego_page import PAGE, rewritten, sections, timeless

TEXT = PAGE.read_text()


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return sections()


def test_every_part_is_on_the_page(made: dict[str, str]) -> None:
    assert set(re.findall(r"<!-- ([a-z-]+): begin -->", TEXT)) == made.keys()


def test_the_page_is_up_to_date(made: dict[str, str]) -> None:
    """If not: `make docs`."""
    assert timeless(rewritten(TEXT, made)) == timeless(TEXT)


def test_what_is_refused_names_its_mistake(made: dict[str, str]) -> None:
    assert "| Rego v0 | " in made["syntax"]
    assert "`opa.runtime`" in made["built-ins"]
