from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reporting.parts import TOKEN
from ztag_extauthz.reporting.masks import Left, answered, apply, rule, sensitive

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
    event = apply({"input": asked}, sensitive(asked, Left()))
    assert "s3cret" not in repr(event)
    assert TOKEN not in repr(event)
    assert event["input"]["attributes"]["request"]["http"]["headers"] == {":path": "/a", "accept": "text/html"}
    assert "/input/attributes/request/http/headers/Authorization" in event["erased"]
    assert "/input/attributes/request/http/path" in event["masked"]
    kept = apply({"input": asked}, sensitive(asked, Left(query=True, body=True)))
    assert kept["input"]["parsed_body"] == {"a": "s3cret"}
    assert kept["input"]["parsed_query"] == {"code": ["s3cret"]}
    assert "Authorization" not in kept["input"]["attributes"]["request"]["http"]["headers"]


def test_never_6_what_was_removed_is_not_there_again_because_a_token_stood_in_it() -> None:
    text = f"s3cret {TOKEN}"
    asked = document(query=text, body=text, rawBody=text) | {"parsed_body": {"a": text}, "parsed_query": {"a": [text]}}
    found = repr(apply({"input": asked}, sensitive(asked, Left())))
    assert "s3cret" not in found


def test_never_6_no_parameter_of_a_path_is_left_in_its_parts() -> None:
    asked = document(path="/a;jsessionid=s3cret/b", fragment="s3cret") | {"parsed_path": ["a;jsessionid=s3cret", "b"]}
    event = apply({"input": asked}, sensitive(asked, Left()))
    assert "s3cret" not in repr(event)
    assert event["input"]["parsed_path"] == ["a", "b"]


def test_never_6_headers_and_extensions_of_an_input_are_masked_by_name_and_by_value() -> None:
    fields = {
        "x-partner": "s3cret",
        "via": "Basic s3cret",
        "x-note": "a, Bearer s3cret",
        "x-user-pass": "s3cret",
        "x-pin": "s3cret",
        "x-csrf": "s3cret",
        "x-forwarded-uri": "h/p;jsessionid=s3cret",
        "x-a": "h/p;JSESSIONID=s3cret",
        "x-b": "a;phpsessid=s3cret",
        "x-original-url": "p#access_token=s3cret",
        "accept": "text/html;q=0.8, */*",
        "content-type": "multipart/form-data; boundary=x",
    }
    asked: dict[str, Any] = document(headers=fields)
    asked["attributes"]["contextExtensions"] = {"note": "Bearer s3cret", "api-key": "s3cret", "route": "orders"}
    event = apply({"input": asked}, sensitive(asked, Left(query=True, body=True, credentials=frozenset({"x-partner"}))))
    assert "s3cret" not in repr(event)
    attributes = event["input"]["attributes"]
    assert attributes["contextExtensions"] == {"note": "[masked]", "route": "orders"}
    headers = attributes["request"]["http"]["headers"]
    assert {name: headers[name] for name in ("accept", "content-type")} == dict(list(fields.items())[-2:])


def test_never_6_what_an_answer_sends_on_is_as_secret_as_what_came_in() -> None:
    said = {
        "allowed": True,
        "headers": {
            "Authorization": "Bearer s3cret",
            "x-user": "alice",
            "x-two": ["a", "Basic s3cret"],
            "X-Partner": "s3cret",
        },
        "response_headers_to_add": {"set-cookie": ["a=s3cret"], "location": "/a?code=s3cret"},
        "query_parameters_to_set": {"access_token": "s3cret", "page": "1"},
        "body": "s3cret",
        "dynamic_metadata": {"token": "s3cret", "rule": "x", "of": frozenset({TOKEN})},
    }
    credentials = frozenset({"x-partner"})
    result = apply({"result": said}, answered(said, Left(credentials=credentials)))["result"]
    assert result == {
        "allowed": True,
        "headers": {"x-user": "alice", "x-two": ["a", "[masked]"]},
        "response_headers_to_add": {"location": "/a?[masked]"},
        "dynamic_metadata": {"token": "[masked]", "rule": "x", "of": "[masked]"},
    }
    asked_for = Left(query=True, body=True, credentials=credentials)
    result = apply({"result": said}, answered(said, asked_for))["result"]
    assert result["query_parameters_to_set"] == {"page": "1"}
    assert result["body"] == "s3cret"


VALUES = st.none() | st.booleans() | st.text() | st.just(TOKEN) | st.just(f"x%20{TOKEN}")


@given(st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_never_6_no_token_is_left_wherever_it_stands(value: Any) -> None:
    asked = document(headers={"x-note": f"mine is {TOKEN}"}) | {"identity": {"claims": value}}
    assert TOKEN not in repr(apply({"input": asked}, sensitive(asked, Left(query=True, body=True))))
