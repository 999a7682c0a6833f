import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.reporting.parts import DECISION, IDENTITY, NOW, REQUEST, TOKEN, asked, decided, denied
from ztag_extauthz.model import Allow, Decision, Deny, Failed, Reason, Request, Stage, Timings
from ztag_extauthz.reporting.masking import MASK, MAX_TEXT, is_secret
from ztag_extauthz.reporting.record import brief, full, to_json, to_message

ANY = st.text(st.characters(codec=None), max_size=40)


def line(request: Request = REQUEST, decision: Decision = DECISION, headers: tuple[str, ...] = ()) -> dict[str, Any]:
    value = json.loads(to_json(brief(request, decision, headers)))
    assert isinstance(value, dict)
    return value


def test_says_who_asked_what_and_what_was_answered() -> None:
    assert line() == {
        "id": DECISION.id,
        "time": "2027-01-15T08:00:00.250000Z",
        "request": {
            "id": "7",
            "method": "GET",
            "scheme": "https",
            "host": "api.example",
            "path": "/orders/1",
            "protocol": "HTTP/2",
            "sourceAddress": "10.0.0.1",
            "sourcePrincipal": "spiffe://mesh.example/ns/a/sa/b",
            "destinationAddress": "10.0.0.2",
            "contextExtensions": {"route": "orders"},
            "bodySize": 4,
        },
        "identity": {
            "subject": "alice",
            "issuer": "https://issuer.example",
            "kind": "jwt",
            "expiresAt": "2027-01-15T08:01:00.250000Z",
        },
        "outcome": "allow",
        "stage": "authorization",
        "decidedBy": "rego",
        "timings": {"admissionUs": 1.5, "authenticationUs": 2.5, "authorizationUs": 30.0},
    }


def test_says_why_not() -> None:
    refused = line(decision=denied(metadata={"rule": "orders-are-private", "other": 1}))
    assert (refused["outcome"], refused["reason"], refused["detail"]) == ("deny", "policy", "the policy says no")
    assert refused["rule"] == "orders-are-private"
    unavailable = Failed(Reason.UNAVAILABLE, "keys")
    failed = line(decision=decided(verdict=unavailable, stage=Stage.AUTHENTICATION, identity=None))
    assert (failed["outcome"], failed["reason"], failed["stage"]) == ("error", "unavailable", "authentication")
    assert "identity" not in failed


def test_what_ztag_answers_itself_is_no_refusal() -> None:
    answered = line(decision=decided(verdict=Deny(Reason.ANSWERED, status=200), stage=Stage.ADMISSION, identity=None))
    assert (answered["outcome"], answered["reason"]) == ("answered", "answered")


def test_says_what_a_dry_run_would_have_said() -> None:
    shadowed = Deny(Reason.POLICY, "no", metadata={"rule": "r"})
    told = line(decision=decided(verdict=Allow(shadowed=shadowed)))
    assert (told["outcome"], told["shadowed"], told["rule"]) == ("allow", {"reason": "policy", "detail": "no"}, "r")


def test_stages_that_were_not_reached_have_no_time() -> None:
    assert line(decision=decided(timings=Timings(1_000)))["timings"] == {"admissionUs": 1.0}


def test_only_headers_that_are_asked_for() -> None:
    assert "headers" not in line()["request"]
    assert line(headers=("user-agent", "missing"))["request"]["headers"] == {"user-agent": "curl"}


@pytest.mark.parametrize("path", [f"/x/{TOKEN}", f"/x?token={TOKEN}", f"/x#{TOKEN}", f"/x;jwt={TOKEN}/y"])
def test_never_6_no_token_body_or_query_in_a_record(path: str) -> None:
    headers = {**REQUEST.headers, ":path": path + "?page=2", "referer": "https://a.example/?page=2"}
    request = asked(path=path, headers=headers)
    for record in (brief(request, DECISION, ("x-note", "referer")), full(request, DECISION)):
        text = to_json(record).decode()
        for secret in (TOKEN, TOKEN.split(".")[2], "c00kie", "k3y", "b0dy", "page=2"):
            assert secret not in text


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        (f"/x/{TOKEN.replace('eyJ', '%65yJ')}", "/x/"),
        (f"/x/{TOKEN.replace('eyJ', '%2565yJ').replace('.', '%2E')}", "/x/"),
        ("/x;jsessionid=s3cret", "/x"),
        ("/x%3Bjsessionid=s3cret", "/x"),
        ("/x%3Faccess_token=s3cret", "/x"),
        ("/x%3faccess_token=s3cret", "/x"),
        ("/x%253Faccess_token=s3cret", "/x"),
        ("/x%23access_token=s3cret", "/x"),
        ("http://user:s3cret@host/x", "http://host/x"),
        ("//user:s3cret@host/x", "//host/x"),
        ("http://user:s3cret@s3cret@host/x?y", "http://host/x"),
    ],
)
def test_never_6_no_secret_of_a_path_however_it_is_written(path: str, kept: str) -> None:
    request = asked(path=path, host=f"user:s3cret@{REQUEST.host}", headers={":path": path, "referer": path})
    for record in (brief(request, DECISION, ("referer",)), full(request, DECISION)):
        text = to_json(record).decode()
        for secret in ("s3cret", TOKEN.split(".")[1], TOKEN.split(".")[2]):
            assert secret not in text
        assert json.loads(text)["request"]["path"].startswith(kept)
        assert json.loads(text)["request"]["host"] == REQUEST.host


def test_what_hides_no_secret_is_written_as_it_came() -> None:
    headers = {"accept": "text/html;q=0.8, a/b", "content-type": "text/plain; charset=utf-8", "referer": "/a%20b@c"}
    asked_for = line(asked(path="/a%20b/50%25@x", headers=headers), headers=tuple(headers))["request"]
    assert (asked_for["path"], asked_for["headers"]) == ("/a%20b/50%25@x", headers)


def test_never_6_no_secret_of_a_context_extension() -> None:
    extensions = {
        "route": "orders",
        "api-key": "s3cret",
        "note": f"of {TOKEN}",
        "x": "Bearer s3cret",
        "y": "/a?b=s3cret",
    }
    found = line(asked(context_extensions=extensions))["request"]["contextExtensions"]
    assert found == {"route": "orders", "api-key": MASK, "note": f"of {MASK}", "x": MASK, "y": f"/a?{MASK}"}


def test_the_full_record_holds_what_was_found_out_and_answered() -> None:
    verdict = Allow(
        request_headers=(("x-user", "alice"), ("x-session-token", "s3cret")),
        request_headers_to_remove=("x-role",),
        response_headers=(("x-a", "b"),),
        query_parameters=(("q", "1"),),
        query_parameters_to_remove=("r",),
        metadata={"tier": 1},
    )
    told = json.loads(to_json(full(REQUEST, decided(verdict=verdict))))
    assert told["identity"]["claims"] == {"sub": "alice", "email": "a@example"}
    assert told["facts"] == {"risk": {"score": 0.25}}
    assert told["request"]["headers"]["authorization"] == MASK
    assert told["request"]["headers"]["x-note"] == f"mine is {MASK}"
    assert told["answer"] == {
        "requestHeaders": [{"name": "x-user", "value": "alice"}, {"name": "x-session-token", "value": MASK}],
        "requestHeadersToRemove": ["x-role"],
        "responseHeaders": [{"name": "x-a", "value": "b"}],
        "queryParameters": [{"name": "q", "value": "1"}],
        "queryParametersToRemove": ["r"],
        "metadata": {"tier": 1},
    }


def test_the_full_record_of_a_refusal() -> None:
    told = json.loads(to_json(full(REQUEST, denied(status=451, headers=(("x-a", "b"),), body="n\u00f6"))))
    assert told["answer"] == {"status": 451, "responseHeaders": [{"name": "x-a", "value": "b"}], "bodySize": 3}
    failed = json.loads(to_json(full(REQUEST, decided(verdict=Failed(Reason.INTERNAL), identity=None))))
    assert "answer" not in failed


NASTY = ["\r\n", '","outcome":"allow', "\x1b[2J", "\u009b2J", "\u2028", "\u202e", "\0", "\x7f", "\ud800", "}\n{", "\\"]


@pytest.mark.parametrize("text", NASTY)
def test_s11_whatever_is_sent_the_record_is_one_line_of_ascii(text: str) -> None:
    request = asked(path=f"/{text}", host=text, method=text, id=text, headers={"x-note": text})
    decision = denied(text, metadata={"rule": text})
    decision = replace(decision, identity=replace(IDENTITY, subject=text))
    for record in (brief(request, decision, ("x-note",)), full(request, decision)):
        data = to_json(record)
        assert all(0x20 <= byte < 0x7F for byte in data)
        told = json.loads(data)
        assert told["outcome"] == "deny"
        assert told["request"]["host"] == text
        assert told["request"]["headers"] == {"x-note": text}


@given(ANY, ANY, ANY, ANY)
def test_s11_any_text_survives(host: str, path: str, subject: str, detail: str) -> None:
    decision = replace(denied(detail), identity=replace(IDENTITY, subject=subject))
    data = to_json(brief(asked(host=host, path=path), decision))
    assert data.isascii()
    assert b"\n" not in data
    told = json.loads(data)
    assert told["request"].get("host", "") == host.rpartition("@")[2]  # before it a name and a password would stand
    assert told["identity"].get("subject", "") == subject


@pytest.mark.parametrize(
    "text", [f"a {TOKEN}", TOKEN.replace("eyJ", "%65yJ"), f"{TOKEN[:10]} \u2028", f"{TOKEN} \ud800"]
)
def test_never_6_no_token_in_any_text_of_a_record(text: str) -> None:
    request = asked(id=text, method=text, protocol=text, context_extensions={text: text})
    decision = decided(
        verdict=Deny(
            Reason.POLICY, text, metadata={"rule": text, "of": {text: frozenset({text})}}, policy_revision=text
        ),
        identity=replace(IDENTITY, subject=text, issuer=text, claims={text: [text]}),
        facts={text: (text,)},
    )
    for record in (brief(request, decision), full(request, decision)):
        told = to_json(record).decode()
        assert MASK in told
        assert "yJ" not in told


def test_texts_are_bounded() -> None:
    assert len(line(asked(path="/" + "x" * 1_000_000))["request"]["path"]) == MAX_TEXT + 3


@pytest.mark.parametrize(
    "record", [brief(REQUEST, DECISION), full(REQUEST, DECISION), full(REQUEST, denied("no", status=401))]
)
def test_the_line_is_the_json_mapping_of_the_message(record: Any) -> None:
    message = to_message(record)
    assert (message.id, message.decided_by) == (DECISION.id, "rego")
    assert message.time.ToMilliseconds() == int(NOW * 1000)
    assert message.request.source_principal == "spiffe://mesh.example/ns/a/sa/b"
    assert message.identity.expires_at.seconds == int(NOW) + 60
    assert message.timings.authorization_us == 30.0


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "x-auth-token",
        "dpop",
        "x-ztag-assertion",
        "x-user-pass",
        "x-pin",
        "pin",
        "x-csrf",
        "x-xsrf",
    ],
)
def test_headers_that_hold_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [":authority", "user-agent", "x-request-id", "accept", "content-type", "x-forwarded-for", "x-shipping", "ping"],
)
def test_headers_that_do_not(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize("verdict", [Allow(policy_revision="7"), Deny(Reason.POLICY, policy_revision="7")])
def test_the_policies_revision_is_told(verdict: Allow | Deny) -> None:
    assert line(decision=decided(verdict=verdict))["policyRevision"] == "7"
