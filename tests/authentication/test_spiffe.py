import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.authentication.parts import conformance
from ztag_extauthz.authentication import spiffe
from ztag_extauthz.authentication.spiffe import SpiffeId, SpiffeIdError


def outcome(case: dict[str, Any]) -> dict[str, Any]:  # noqa: PLR0911 - one for each kind of case
    start = (case.get("trust_domain", ""), case.get("start_path", ""))
    match case["op"]:
        case "id":
            found = spiffe.parse(case["input"])
            return {"trust_domain": found.trust_domain, "path": found.path}
        case "trust_domain":
            return {"trust_domain": spiffe.trust_domain(case["input"])}
        case "segment":
            spiffe.checked_segment(case["input"])
            return {}
        case "join_segments" | "segments" | "replace_segments":
            return {"path": spiffe.join(*case["segments"])}
        case "append_segments":
            return {"path": start[1] + spiffe.join(*case["segments"])}
        case "replace_path":
            return {"path": spiffe.checked_path(case["input"])}
        case "append_path":
            return {"path": start[1] + spiffe.checked_path(case["input"])}
        case unknown:
            raise AssertionError(unknown)


def test_every_published_case_is_right() -> None:
    cases = conformance("spiffe-ids.json")["cases"]
    wrong = []
    for case in cases:
        try:
            found = outcome(case)
            right = case["ok"] and all(found.get(name, case.get(name)) == case.get(name) for name in found)
        except SpiffeIdError as error:
            right = not case["ok"] and error.code == case["error"]
        if not right:
            wrong.append(case)
    assert wrong == []
    assert len(cases) == 882


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("spiffe://a/" + "b" * 2048, "too_long"),
        ("spiffe://" + "a" * 256 + "/b", "too_long"),
        ("SPIFFE://a/b", "wrong_scheme"),
        ("spiffe://A/b", "bad_trust_domain_char"),
        ("spiffe://a:80/b", "bad_trust_domain_char"),
        ("spiffe://user@a/b", "bad_trust_domain_char"),
        ("spiffe://a/b?c", "bad_path_segment_char"),
        ("spiffe://a/b#c", "bad_path_segment_char"),
        ("spiffe://a/%2e", "bad_path_segment_char"),
        ("spiffe://a/b\n", "bad_path_segment_char"),
        ("spiffe://a\n/b", "bad_trust_domain_char"),
        ("spiffe://a/é", "bad_path_segment_char"),
        ("spiffe://a//b", "empty_segment"),
        ("spiffe://a/../b", "dot_segment"),
    ],
)
def test_s09_what_could_be_read_differently_is_no_id(text: str, code: str) -> None:
    with pytest.raises(SpiffeIdError) as caught:
        spiffe.parse(text)
    assert caught.value.code == code
    assert text not in str(caught.value)


ID = re.compile(r"spiffe://[a-z0-9._-]{1,255}(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._-]+)*")


@given(st.text("spife:/.AZaz09_-%\n@", max_size=40) | st.from_regex(ID, fullmatch=True))
def test_an_id_is_what_the_grammar_says(text: str) -> None:
    try:
        found = spiffe.parse(text)
    except SpiffeIdError:
        assert not ID.fullmatch(text) or len(text) > 2048
    else:
        assert ID.fullmatch(text)
        assert str(found) == text


def test_an_id_is_compared_as_a_value() -> None:
    assert spiffe.parse("spiffe://a/b") == SpiffeId("a", "/b")
