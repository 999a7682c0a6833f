import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.reporting.parts import DECISION, IDENTITY, REQUEST, TOKEN, asked, decided
from ztag_extauthz.envoy import decode
from ztag_extauthz.envoy.protojson import check_request
from ztag_extauthz.errors import SettingsError, ZtagError
from ztag_extauthz.model import Allow, Deny, Failed, Outcome, Reason, Request
from ztag_extauthz.reporting.masking import MASK
from ztag_extauthz.reporting.recorded import Kept, Key, Recorded, make, read, to_line

SECRET = b64encode(bytes(range(32)))
HTTP: dict[str, Any] = {
    "method": "POST",
    "path": f"/orders/{TOKEN};jsessionid=s3cret?code=s3cret",
    "host": "shop.example",
    "query": "code=s3cret",
    "body": '{"password": "s3cret"}',
    "headers": {
        ":path": "/orders?code=s3cret",
        "authorization": f"Bearer {TOKEN}",
        "cookie": "s3cret",
        "x-api-key": "s3cret",
        "referer": f"https://shop.example/?a={TOKEN}",
        "x-note": f"mine is {TOKEN}",
        "accept": "text/html",
    },
}
ATTRIBUTES: dict[str, Any] = {
    "source": {"address": {"socketAddress": {"address": "10.0.0.1", "portValue": 1}}, "principal": "spiffe://mesh/a"},
    "request": {"time": {"seconds": 1_800_000_000, "nanos": 5_000}, "http": HTTP},
    "contextExtensions": {"route": "orders", "secret": "s3cret"},
    "metadataContext": {"filterMetadata": {"a": {"b": [TOKEN, 1]}}, "typedFilterMetadata": {"c": {"typeUrl": "x"}}},
}


def with_attributes(attributes: dict[str, Any]) -> Request:
    return asked(attributes=lambda: attributes)


def kept(*, query: bool = False, body: bool = False, **changes: Any) -> Recorded:
    recorded = make(with_attributes(ATTRIBUTES), decided(**changes), Kept(query=query, body=body))
    assert recorded is not None
    return recorded


def test_never_6_no_credential_query_or_body_is_kept() -> None:
    line = to_line(kept(), None).decode()
    assert TOKEN not in line
    assert "s3cret" not in line
    assert "text/html" in line


def test_never_6_no_header_that_is_a_credential_is_kept_whatever_its_name() -> None:
    headers = {"x-partner": "s3cret", "x-tenant": "a"}
    raw = [{"key": "X-Partner", "value": "s3cret"}]
    attributes = {"request": {"http": {"headers": headers, "headerMap": {"headers": raw}}}}
    recorded = make(with_attributes(attributes), DECISION, Kept(credentials=frozenset({"x-partner"})))
    assert recorded is not None
    assert recorded.request["attributes"]["request"]["http"] == {
        "headers": {"x-partner": MASK, "x-tenant": "a"},
        "headerMap": {"headers": [{"key": "X-Partner", "value": MASK}]},
    }


def test_the_query_and_the_body_are_kept_on_demand() -> None:
    http = kept(query=True, body=True).request["attributes"]["request"]["http"]
    assert http["path"].endswith("?code=s3cret")
    assert http["body"] == HTTP["body"]


def test_what_is_kept_is_a_check_request() -> None:
    request = decode(check_request(json.dumps(kept().request)))
    assert (request.method, request.host, request.source.principal) == ("POST", "shop.example", "spiffe://mesh/a")
    assert request.path == "/orders/[masked]"
    assert request.attributes()["request"]["time"] == {"seconds": 1_800_000_000, "nanos": 5_000}
    assert request.attributes()["metadataContext"] == {"filterMetadata": {"a": {"b": ["[masked]", 1]}}}


def test_raw_headers_become_text_and_are_masked() -> None:
    fields = [
        {"key": "Cookie", "rawValue": b64encode(b"s3cret").decode()},
        {"key": "accept", "rawValue": b64encode(b"text/html").decode()},
        {"key": ":path", "value": "/a?code=s3cret"},
    ]
    attributes = {"request": {"http": {"headerMap": {"headers": fields}}}}
    recorded = make(with_attributes(attributes), DECISION, Kept(query=False, body=False))
    assert recorded is not None
    assert recorded.request["attributes"]["request"]["http"]["headerMap"]["headers"] == [
        {"key": "Cookie", "value": "[masked]"},
        {"key": "accept", "value": "text/html"},
        {"key": ":path", "value": "/a"},
    ]


def test_who_asked_is_kept_and_secrets_in_claims_are_not() -> None:
    claims = {"roles": ["a"], "access_token": "s3cret", "nested": {"note": f"mine is {TOKEN}"}}
    recorded = kept(identity=replace(IDENTITY, claims=claims))
    assert recorded.identity.subject == "alice"
    expected = {"roles": ["a"], "access_token": "[masked]", "nested": {"note": "mine is [masked]"}}
    assert recorded.identity.claims == expected
    assert recorded.facts == {"risk": {"score": 0.25}}


@pytest.mark.parametrize(
    ("verdict", "outcome", "reason"),
    [
        (Allow(), Outcome.ALLOW, ""),
        (Deny(Reason.POLICY), Outcome.DENY, "policy"),
        (Failed(Reason.EVALUATION), Outcome.ERROR, "evaluation"),
        (Allow(shadowed=Deny(Reason.POLICY)), Outcome.DENY, "policy"),
    ],
)
def test_what_the_policy_said_is_kept_also_in_a_dry_run(verdict: Any, outcome: Outcome, reason: str) -> None:
    assert (kept(verdict=verdict).outcome, kept(verdict=verdict).reason) == (outcome, reason)


def test_a_request_of_nobody_is_not_kept() -> None:
    assert make(REQUEST, decided(identity=None), Kept(query=False, body=False)) is None


VALUES = st.none() | st.booleans() | st.text()


@given(st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_never_6_no_token_is_kept_wherever_it_stands(value: Any) -> None:
    hidden = {"metadataContext": {"filterMetadata": {"a": {"b": value, "c": [{"d": f" {TOKEN}"}]}}}}
    recorded = make(with_attributes(hidden), DECISION, Kept(query=True, body=True))
    assert recorded is not None
    assert TOKEN not in to_line(recorded, None).decode()


@pytest.fixture
def key(tmp_path: Path) -> Key:
    (tmp_path / "key").write_bytes(SECRET + b"\n")
    return Key.read(tmp_path / "key", "key_file")


def test_lines_are_read_back_with_and_without_a_key(key: Key) -> None:
    recorded = kept()
    for used in (None, key):
        (found,) = read([to_line(recorded, used).decode()], used)
        assert found == recorded


def test_never_is_a_line_slipped_into_an_encrypted_recording(key: Key) -> None:
    lines = [to_line(kept(), used).decode() for used in (key, key, None)]
    with pytest.raises(ZtagError, match=r"^line 3: .*is not encrypted"):
        list(read(lines, key))


def test_a_sealed_line_tells_nothing_and_is_never_the_same(key: Key) -> None:
    lines = {to_line(kept(), key) for _ in range(3)}
    assert len(lines) == 3
    assert not any(b"alice" in line or b"orders" in line for line in lines)


def test_without_the_key_with_another_or_changed_a_line_is_refused(key: Key) -> None:
    line = to_line(kept(), key).decode()
    with pytest.raises(ZtagError, match=f"line 1: .*key {key.fingerprint}: name its file"):
        list(read([line], None))
    with pytest.raises(ZtagError, match=f"{key.fingerprint}, not "):
        list(read([line], Key(b"x" * 32)))
    sealed = json.loads(line)["sealed"]
    changed = sealed[:40] + ("A" if sealed[40] != "A" else "B") + sealed[41:]
    with pytest.raises(ZtagError, match="was changed"):
        list(read([line.replace(sealed, changed)], key))


@pytest.mark.parametrize("line", ["{", "[]", "1", '{"id": "x"}', '{"sealed": 1}', '{"sealed": "%"}', '{"a":' * 5000])
def test_what_is_no_recording_is_told_with_its_line(line: str, key: Key) -> None:
    mine = line.replace("{", f'{{"key": "{key.fingerprint}", ', 1) if "sealed" in line else line
    for used, text in ((key, line), (key, mine), (None, line)):
        with pytest.raises(ZtagError, match=r"^line 2: "):
            list(read(["", text], used))


@pytest.mark.parametrize("content", [b"", b"c2hvcnQ=", b"no base64!"])
def test_what_is_no_key_is_a_mistake_with_a_remedy(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(SettingsError, match="openssl rand -base64 32"):
        Key.read(tmp_path / "key", "key_file")
    with pytest.raises(SettingsError, match="cannot be read"):
        Key.read(tmp_path / "none", "key_file")


def test_an_audit_log_is_called_one() -> None:
    with pytest.raises(ZtagError, match=r"this is an audit log; give a recording \(kind: recording\)"):
        list(read(['{"time": "2026-01-01T00:00:00Z", "id": "1"}'], None))
