from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reporting.parts import TOKEN
from ztag_extauthz.reporting.masks import apply, rule, sensitive

EVENT: dict[str, Any] = {"input": {"a": {"b": [1, {"c": 2}]}, "d/e": 3}, "result": True}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("/input/a/b/1/c", {"input": {"a": {"b": [1, {}]}, "d/e": 3}, "result": True, "erased": ["/input/a/b/1/c"]}),
        ("/input/a/b/0", {"input": {"a": {"b": [{"c": 2}]}, "d/e": 3}, "result": True, "erased": ["/input/a/b/0"]}),
        ("/input/d%2Fe", {"input": {"a": {"b": [1, {"c": 2}]}}, "result": True, "erased": ["/input/d%2Fe"]}),
        ("/input", {"result": True, "erased": ["/input"]}),
        ("/result", {"input": EVENT["input"], "erased": ["/result"]}),
        ("/input/none", EVENT),
        ("/input/a/b/2", EVENT),
        ("/input/a/b/x", EVENT),
        ("/result/x", EVENT),
        ({"op": "upsert", "path": "/result", "value": 1}, EVENT | {"result": 1, "masked": ["/result"]}),
        ({"path": "/result"}, {"input": EVENT["input"], "erased": ["/result"]}),
        ({"op": "upsert", "path": "/result/x", "value": 1}, EVENT),
        (
            {"op": "upsert", "path": "/input/x/y", "value": 1},
            EVENT | {"input": EVENT["input"] | {"x": {"y": 1}}, "masked": ["/input/x/y"]},
        ),
    ],
)
def test_rules_as_opa_has_them(written: Any, expected: dict[str, Any]) -> None:
    before = repr(EVENT)
    assert apply(EVENT, [rule(written)]) == expected
    assert repr(EVENT) == before


@pytest.mark.parametrize("written", ["", "input/a", "/other", "/inputs", 1, None, {"op": "add", "path": "/input"}, {}])
def test_what_is_no_rule(written: Any) -> None:
    with pytest.raises(ValueError, match="mask"):
        rule(written)


def document(**http: Any) -> dict[str, Any]:
    return {"attributes": {"request": {"http": http}}}


def test_never_6_credentials_query_and_body_are_taken_out() -> None:
    asked = document(
        path="/a?code=s3cret",
        query="code=s3cret",
        body="s3cret",
        rawBody="s3cret",
        headers={
            ":path": "/a?code=s3cret",
            "Authorization": "Bearer s3cret",
            "cookie": "s3cret",
            "accept": "text/html",
        },
        headerMap={"headers": [{"key": "cookie", "value": "s3cret"}]},
    )
    asked |= {"parsed_body": {"a": "s3cret"}, "parsed_query": {"code": ["s3cret"]}, "parsed_path": ["a", TOKEN]}
    asked["identity"] = {"claims": {"access_token": "s3cret", "roles": ["a"]}}
    event = apply({"input": asked}, sensitive(asked, query=False, body=False))
    assert "s3cret" not in repr(event)
    assert TOKEN not in repr(event)
    assert event["input"]["attributes"]["request"]["http"]["headers"] == {":path": "/a", "accept": "text/html"}
    assert "/input/attributes/request/http/headers/Authorization" in event["erased"]
    assert "/input/attributes/request/http/path" in event["masked"]
    kept = apply({"input": asked}, sensitive(asked, query=True, body=True))
    assert kept["input"]["parsed_body"] == {"a": "s3cret"}
    assert kept["input"]["parsed_query"] == {"code": ["s3cret"]}
    assert "Authorization" not in kept["input"]["attributes"]["request"]["http"]["headers"]


VALUES = st.none() | st.booleans() | st.text() | st.just(TOKEN) | st.just(f"x%20{TOKEN}")


@given(st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_never_6_no_token_is_left_wherever_it_stands(value: Any) -> None:
    asked = document(headers={"x-note": f"mine is {TOKEN}"}) | {"identity": {"claims": value}}
    assert TOKEN not in repr(apply({"input": asked}, sensitive(asked, query=True, body=True)))
