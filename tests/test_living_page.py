"""docs/living-with-policies.md shows what the commands print, and its recording is what a server would have kept."""

import re

from tests.living_page import PAGE, RECORDING, decisions, sections
from tests.rego_page import rewritten

TEXT = PAGE.read_text()


def test_the_page_is_up_to_date() -> None:
    """If not: `make docs`."""
    made = sections()
    assert set(re.findall(r"<!-- ([a-z-]+): begin -->", TEXT)) == made.keys()
    assert rewritten(TEXT, made) == TEXT


def test_the_recording_is_up_to_date() -> None:
    assert RECORDING.read_bytes() == b"".join(decisions())
