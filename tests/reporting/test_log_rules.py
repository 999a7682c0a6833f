import pytest

from ztag_extauthz.errors import PolicyError
from ztag_extauthz.reporting.log_rules import LogRules

EVENT = {"input": {"a": 1}, "result": True, "path": "p/allow"}


def test_masks_and_drops_are_asked_with_the_event() -> None:
    text = """package system.log

mask contains "/input/a" if input.path == "p/allow"

mask contains {"op": "upsert", "path": "/result", "value": 1}

drop if input.input.a == 2
"""
    rules = LogRules("rules.rego", text)
    assert sorted(each.pointer for each in rules.masks(EVENT)) == ["/input/a", "/result"]
    assert not rules.drops(EVENT)
    assert rules.drops(EVENT | {"input": {"a": 2}})


def test_one_of_them_is_enough() -> None:
    assert list(LogRules("rules.rego", "package system.log\n\ndrop := true\n").masks(EVENT)) == []
    assert not LogRules("rules.rego", 'package system.log\n\nmask := ["/input"]\n').drops(EVENT)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("package system.log\n\nmask contains\n", r"^rules: rules\.rego:"),
        ("package other\n\nmask := []\n", r"^rules: rules\.rego: has no system\.log\.mask"),
    ],
)
def test_mistakes_name_their_place(text: str, told: str) -> None:
    with pytest.raises(PolicyError, match=told):
        LogRules("rules.rego", text)


def test_what_is_no_mask_is_an_error() -> None:
    """So that the event is lost, and not sent with what was to be taken out."""
    with pytest.raises(ValueError, match="pointer"):
        list(LogRules("rules.rego", 'package system.log\n\nmask contains "input/a"\n').masks(EVENT))
