"""docs/rego.md says what the engine does: its names, its limits, what the commands print."""

import re

from tests.rego_page import PAGE, rewritten, sections, timeless

MADE = sections()
TEXT = PAGE.read_text()


def test_every_part_is_on_the_page() -> None:
    assert set(re.findall(r"<!-- ([a-z-]+): begin -->", TEXT)) == MADE.keys()


def test_the_page_is_up_to_date() -> None:
    """If not: `make docs`."""
    assert timeless(rewritten(TEXT, MADE)) == timeless(TEXT)


def test_what_is_refused_names_its_mistake() -> None:
    assert "| Rego v0 | " in MADE["syntax"]
    assert "`http.send`" in MADE["built-ins"]
