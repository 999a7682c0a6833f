import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.envoy.checks import ID, answer, check, headers_of, request
from ztag_extauthz.envoy.problem import CALLERS_FAULT, cut, query_text
from ztag_extauthz.model import Deny, Reason

FORGED = '"><script>alert(1)</script>&{}\r\n'


def told(deny: Deny, accept: str | None = None, content_type: str = "text/plain") -> tuple[dict[str, str], str]:
    headers = {"content-type": content_type} | ({} if accept is None else {"accept": accept})
    denied = answer(deny, request(check(headers=headers))).denied_response
    return dict(headers_of(denied.headers)), denied.body


@pytest.mark.parametrize(
    "accept", [None, "*/*", "application/json", "text/html, */*;q=0.8", "Application/Problem+JSON"]
)
def test_a_problem_document_where_json_is_understood(accept: str | None) -> None:
    headers, body = told(Deny(Reason.AMBIGUOUS_PATH, "the path has an encoded slash"), accept)
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-content-type-options"] == "nosniff"
    assert json.loads(body) == {
        "type": "about:blank",
        "title": "The path can be read in more than one way",
        "status": 400,
        "detail": "the path has an encoded slash",
        "reason": "ambiguous_path",
        "decision_id": ID,
    }


def test_plain_text_where_it_is_not() -> None:
    headers, body = told(Deny(Reason.MISSING_CREDENTIALS, "no credential"), "text/html")
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert body == f"401 Unauthorized\nCredentials are required\nno credential\ndecision {ID}\n"


@pytest.mark.parametrize(
    ("reason", "code"), [(Reason.POLICY, "7"), (Reason.MISSING_CREDENTIALS, "16"), (Reason.AMBIGUOUS_PATH, "3")]
)
@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto", "application/grpc;a=b"])
def test_a_status_and_a_message_for_grpc(reason: Reason, code: str, content_type: str) -> None:
    headers, body = told(Deny(reason), "application/json", content_type)
    assert headers["grpc-status"] == code
    assert "content-type" not in headers
    assert "{" not in body


def test_grpc_web_is_not_grpc_to_envoy() -> None:
    headers, _ = told(Deny(Reason.POLICY), content_type="application/grpc-web+proto")
    assert "grpc-status" not in headers


def test_a_policys_own_grpc_status_and_content_type_stay() -> None:
    deny = Deny(Reason.POLICY, headers=(("Grpc-Status", "8"), ("Content-Type", "text/x")))
    assert told(deny, content_type="application/grpc")[0]["grpc-status"] == "8"
    assert told(deny)[0]["content-type"] == "text/x"


def test_statuses_that_grpc_has_no_code_for_are_left_to_envoy() -> None:
    assert "grpc-status" not in told(Deny(Reason.POLICY, status=418), content_type="application/grpc")[0]


@pytest.mark.parametrize("status", [200, 204, 302, 304])
def test_no_words_of_ours_where_a_policy_sends_the_caller_elsewhere(status: int) -> None:
    headers, body = told(Deny(Reason.POLICY, status=status, headers=(("location", "/login"),)))
    assert body == ""
    assert "content-type" not in headers


def test_a_policys_own_body_stays_as_it_is() -> None:
    headers, body = told(Deny(Reason.POLICY, body=FORGED))
    assert body == FORGED
    assert headers == {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"} | {
        name: value for name, value in headers.items() if name == "x-ztag-decision-id"
    }


def test_a_policys_own_content_type_stays_and_is_not_guessed_at() -> None:
    headers, _ = told(Deny(Reason.POLICY, headers=(("Content-Type", "text/html"),), body=FORGED))
    assert (headers["content-type"], headers["x-content-type-options"]) == ("text/html", "nosniff")


def test_an_empty_body_of_a_policy_is_not_described() -> None:
    assert "content-type" not in told(Deny(Reason.POLICY, body=""))[0]


@pytest.mark.parametrize("reason", sorted(set(Reason) - CALLERS_FAULT))
def test_what_is_not_the_callers_fault_is_not_told(reason: Reason) -> None:
    for accept in ("*/*", "text/html"):
        assert "internal-host" not in told(Deny(reason, "internal-host"), accept)[1]


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_s33_what_a_client_wrote_is_never_markup(accept: str) -> None:
    _, body = told(Deny(Reason.MALFORMED_REQUEST, FORGED * 100), accept)
    assert "<" not in body
    assert ">" not in body
    assert len(body) < 4096


@given(st.text(), st.sampled_from(["application/json", "text/html"]))
def test_s33_for_any_text(detail: str, accept: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in detail):
        detail = ""
    _, body = told(Deny(Reason.MALFORMED_REQUEST, detail), accept)
    assert "<" not in body
    if accept == "application/json":
        assert json.loads(body)["reason"] == "malformed_request"


@given(st.text(st.characters(codec="utf-8")), st.integers(0, 200))
def test_a_cut_text_is_a_beginning_and_fits(text: str, size: int) -> None:
    shortened = cut(text, size)
    assert text.startswith(shortened)
    assert len(shortened.encode()) <= size


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a b&c=d#e;f", "a%20b%26c%3Dd%23e%3Bf"),
        ("%41%2", "%41%252"),
        ("100%", "100%25"),
        ("é\r\n", "%C3%A9%0D%0A"),
        ("a+b", "a+b"),
    ],
)
def test_a_query_parameter_cannot_end_itself(text: str, written: str) -> None:
    assert query_text(text) == written
