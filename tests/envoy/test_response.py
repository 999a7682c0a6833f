import json
import re
from typing import Any

import pytest
from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.envoy.checks import ALICE, ID, a92, answer, check, connection, decided, headers_of, listed, request
from ztag_extauthz.envoy import Encoder
from ztag_extauthz.envoy.problem import ANSWERS
from ztag_extauthz.envoy.remembered import Remembered
from ztag_extauthz.errors import EvaluationError
from ztag_extauthz.model import Allow, Deny, Failed, Identity, Pairs, Reason
from ztag_extauthz.settings import ResponseSettings

OVERWRITE = HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
ADD = HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
VISIBLE = re.compile("[!-~]*")

texts = st.text(st.characters(codec="utf-8"), max_size=30)
names = st.from_regex(r"[a-z][a-z0-9_-]{0,12}", fullmatch=True)
pairs = st.lists(st.tuples(names, st.text(st.characters(min_codepoint=32, max_codepoint=126))), max_size=5).map(tuple)


def test_an_allow_tells_the_upstream_who_asks() -> None:
    ok = answer(Allow()).ok_response
    assert headers_of(ok.headers) == [
        ("x-ztag-subject", "alice"),
        ("x-ztag-issuer", "https://issuer.example"),
        ("x-ztag-kind", "jwt"),
        ("x-ztag-decision-id", ID),
    ]


def test_an_allow_of_nobody_tells_only_the_decision() -> None:
    ok = answer(Allow(), identity=None).ok_response
    assert headers_of(ok.headers) == [("x-ztag-decision-id", ID)]
    assert {"x-ztag-subject", "x-ztag-issuer", "x-ztag-kind"} <= set(ok.headers_to_remove)


def test_an_empty_value_is_no_header_but_removed() -> None:
    ok = answer(Allow(), identity=Identity("anonymous", "", "anonymous")).ok_response
    assert "x-ztag-issuer" not in dict(headers_of(ok.headers))
    assert "x-ztag-issuer" in ok.headers_to_remove


def test_identity_headers_can_be_left_out() -> None:
    ok = answer(Allow(), identity_headers=False).ok_response
    assert headers_of(ok.headers) == []
    assert {"x-ztag-subject", "x-ztag-decision-id", "x_ztag_subject"} <= set(ok.headers_to_remove)


def test_everything_that_an_allow_can_change_is_there() -> None:
    response = answer(
        Allow(
            request_headers=(("X-User", "alice"),),
            request_headers_to_remove=("X-Secret",),
            response_headers=(("set-cookie", "a=1"), ("set-cookie", "b=2")),
            query_parameters=(("a", "1"), ("a", "2")),
            query_parameters_to_remove=("token",),
            metadata={"team": "shop", "n": 1.0, "list": [True, None]},
        )
    )
    ok = response.ok_response
    assert ("x-user", "alice") in headers_of(ok.headers)
    assert "x-secret" in ok.headers_to_remove
    assert headers_of(ok.response_headers_to_add) == [("set-cookie", "a=1"), ("set-cookie", "b=2")]
    assert [(parameter.key, parameter.value) for parameter in ok.query_parameters_to_set] == [("a", "1"), ("a", "2")]
    assert list(ok.query_parameters_to_remove) == ["token"]
    assert response.dynamic_metadata["team"] == "shop"
    assert list(response.dynamic_metadata["list"]) == [True, None]


def test_several_values_of_a_request_header_are_one_that_overwrites() -> None:
    ok = answer(Allow(request_headers=(("x-role", "a"), ("X-Role", "b")))).ok_response
    assert [value for name, value in headers_of(ok.headers) if name == "x-role"] == ["a,b"]


def test_the_decision_id_is_told_as_opa_does_and_in_a_place_of_ours() -> None:
    for verdict in (Allow(), Deny(Reason.POLICY), Failed(Reason.INTERNAL)):
        metadata = answer(verdict).dynamic_metadata
        assert metadata["decision_id"] == ID
        assert metadata["ztag"]["decision_id"] == ID
    assert answer(Deny(Reason.POLICY)).dynamic_metadata["ztag"]["reason"] == "policy"


def test_a_dry_run_tells_what_would_have_been() -> None:
    metadata = answer(Allow(shadowed=Deny(Reason.POLICY))).dynamic_metadata
    assert metadata["ztag"]["shadowed"] == "policy"


def test_a_denial_has_status_headers_and_body() -> None:
    headers = (("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-why", "no"))
    response = answer(Deny(Reason.POLICY, status=429, headers=headers, body="later"))
    denied = response.denied_response
    assert (response.status.code, denied.status.code, denied.body) == (7, 429, "later")
    described = [("content-type", "text/plain; charset=utf-8"), ("x-content-type-options", "nosniff")]
    assert headers_of(denied.headers) == [*headers, *described, ("x-ztag-decision-id", ID)]


def test_repeated_headers_of_a_denial_survive_in_every_envoy() -> None:
    denied = answer(Deny(Reason.POLICY, headers=(("set-cookie", "a"), ("Set-Cookie", "b")))).denied_response
    first, second = denied.headers[:2]
    assert (first.HasField("append"), first.append.value, first.append_action) == (True, False, OVERWRITE)
    assert (second.HasField("append"), second.append_action) == (False, ADD)


def test_a_denial_names_the_decision_whatever_the_policy_says() -> None:
    denied = answer(Deny(Reason.POLICY, headers=(("X-Ztag-Decision-Id", "mine"),))).denied_response
    assert [value for name, value in headers_of(denied.headers) if name == "x-ztag-decision-id"] == [ID]


@pytest.mark.parametrize(("max_bytes", "body"), [(0, ""), (1, ""), (2, "é"), (3, "é"), (4, "éé"), (99, "ééé")])
def test_a_body_is_cut_between_characters(max_bytes: int, body: str) -> None:
    assert answer(Deny(Reason.POLICY, body="ééé"), max_body_bytes=max_bytes).denied_response.body == body


BROKEN = (("a b", "1"), ("a", "1\r\nx-user: root"), ("a\n", "1"), ("a", "\0"), ("", "1"))


@pytest.mark.parametrize("pair", BROKEN)
def test_a_header_that_cannot_be_sent_never_is(pair: tuple[str, str]) -> None:
    for allow in (Allow(request_headers=(pair,)), Allow(response_headers=(pair,))):
        with pytest.raises(EvaluationError):
            answer(allow)
    response = answer(Deny(Reason.POLICY, headers=(pair, ("x-why", "no"))))
    assert response.status.code == 7
    assert next(name for name, _ in headers_of(response.denied_response.headers)) == "x-why"


def test_errors_can_be_answered() -> None:
    assert not Encoder(ResponseSettings()).answers_errors
    assert Encoder(ResponseSettings(error_response=True)).answers_errors
    response = answer(Failed(Reason.UNAVAILABLE, "redis://secret@host is down"), error_response=True)
    assert response.status.code == 2
    assert response.error_response.status.code == 503
    assert json.loads(response.error_response.body)["reason"] == "unavailable"
    assert "secret" not in str(response)
    assert response.WhichOneof("http_response") == "error_response"


def test_connections_and_grpc_servers_are_answered() -> None:
    for message in (connection(), a92()):
        asked = request(message)
        assert answer(Allow(), asked).status.code == 0
        assert answer(Deny(Reason.POLICY), asked).status.code == 7
        for name, _ in headers_of(answer(Allow(), asked).ok_response.headers):
            assert name == name.lower()


@pytest.mark.parametrize("reason", Reason)
def test_never_1_no_refusal_and_no_error_is_written_as_ok(reason: Reason) -> None:
    for verdict in (Deny(reason), Failed(reason), Deny(reason, status=200), Deny(reason, body="")):
        for settings in ({}, {"error_response": True}, {"max_body_bytes": 0}):
            response = answer(verdict, **settings)
            assert response.status.code != 0
            assert response.WhichOneof("http_response") in ("denied_response", "error_response")


@given(
    reason=st.sampled_from(Reason),
    detail=texts,
    body=st.none() | texts,
    headers=pairs,
    status=st.sampled_from([200, 403]),
)
def test_never_1_whatever_a_refusal_says(
    reason: Reason, detail: str, body: str | None, headers: Pairs, status: int
) -> None:
    for verdict in (Deny(reason, detail, status, headers, body), Failed(reason, detail)):
        encoded = Encoder(ResponseSettings()).encode(request(check()), decided(verdict))
        assert CheckResponse.FromString(encoded).status.code != 0


def test_never_1_an_allow_is_no_empty_message() -> None:
    encoded = Encoder(ResponseSettings(identity_headers=False)).encode(request(connection()), decided(Allow()))
    assert CheckResponse.FromString(encoded).HasField("status")


def test_every_reason_has_an_answer() -> None:
    assert set(ANSWERS) == set(Reason)
    assert all(reply.code != 0 and reply.http_status >= 400 for reply in ANSWERS.values())


SPOOFS = (
    "x-ztag-subject",
    "x-ztag-roles",
    "x_ztag_subject",
    "x-ztag_kind",
    "X-Ztag-Subject",
    "x_ztag-anything",
    "x-user",
)


@pytest.mark.parametrize("name", SPOOFS)
@pytest.mark.parametrize("identity", [ALICE, None])
@pytest.mark.parametrize("told", [True, False])
def test_never_3_a_client_cannot_set_a_header_of_ours(name: str, identity: Identity | None, told: bool) -> None:  # noqa: FBT001
    asked = request(check(headers={name: "forged"}))
    settings: dict[str, Any] = {"identity_headers": told, "owned_headers": ("X-User",)}
    ok = answer(Allow(), asked, identity, **settings).ok_response
    overwritten = {option.header.key for option in ok.headers if option.append_action == OVERWRITE}
    assert name.lower() in {*ok.headers_to_remove, *overwritten}


@pytest.mark.parametrize("name", ["x-user", "x_user", "X-User"])
def test_s16_owned_headers_are_removed_in_every_spelling(name: str) -> None:
    asked = request(listed([(name, b"admin"), ("x-ztag-subject", b"root"), ("x_ztag_subject", b"root")]))
    ok = answer(Allow(), asked, None, owned_headers=("x-user",)).ok_response
    assert {name.lower(), "x-user", "x_user", "x-ztag-subject", "x_ztag_subject"} <= set(ok.headers_to_remove)


def test_s16_headers_that_envoy_does_not_show_are_removed_as_well() -> None:
    ok = answer(Allow(), identity=None, owned_headers=("x-user",)).ok_response
    assert {"x-user", "x_user", "x-ztag-subject", "x_ztag_subject"} <= set(ok.headers_to_remove)


def test_a_policy_cannot_write_over_who_asks() -> None:
    ok = answer(Allow(request_headers=(("x-ztag-subject", "root"), ("x-ztag-issuer", "me")))).ok_response
    assert dict(headers_of(ok.headers))["x-ztag-subject"] == "alice"
    nobody = answer(Allow(request_headers=(("x-ztag-subject", "root"),)), identity=None).ok_response
    assert "x-ztag-subject" not in dict(headers_of(nobody.headers))


@given(
    set_by_policy=pairs, removed=st.lists(names, max_size=4).map(tuple), sent=st.lists(names, max_size=4), added=pairs
)
def test_s17_every_header_says_in_both_ways_how_it_is_set(
    set_by_policy: Pairs, removed: tuple[str, ...], sent: list[str], added: Pairs
) -> None:
    asked = request(check(headers=dict.fromkeys([*sent, "x-ztag-role"], "forged")))
    allow = Allow(request_headers=set_by_policy, request_headers_to_remove=removed, response_headers=added)
    ok = answer(allow, asked, owned_headers=("x-user", "a")).ok_response
    for option in ok.headers:
        assert option.HasField("append")
        assert not option.append.value
        assert option.append_action == OVERWRITE
    for option in ok.response_headers_to_add:
        assert option.append.value
        assert option.append_action == ADD
    told = [option.header.key for option in ok.headers]
    assert len(told) == len(set(told))
    assert set(told).isdisjoint(ok.headers_to_remove)
    assert {name for name, _ in set_by_policy} <= set(told)


@given(texts, texts)
def test_s09_an_identity_becomes_visible_ascii_only(subject: str, issuer: str) -> None:
    ok = answer(Allow(), identity=Identity(subject, issuer, "mesh")).ok_response
    assert all(VISIBLE.fullmatch(value) for _, value in headers_of(ok.headers))


def test_s18_keys_of_ours_are_not_the_policys_to_write() -> None:
    forged = {"decision_id": "mine", "ztag": {"reason": "none"}, "team": "a"}
    metadata = answer(Deny(Reason.POLICY, metadata=forged)).dynamic_metadata
    assert metadata["decision_id"] == ID
    assert metadata["ztag"]["reason"] == "policy"
    assert metadata["team"] == "a"


def test_two_identities_get_two_answers() -> None:
    encoder = Encoder(ResponseSettings())
    for identity in (ALICE, Identity("bob", ALICE.issuer, "jwt"), Identity("alice", "other", "jwt"), ALICE):
        encoded = encoder.encode(request(check()), decided(Allow(), identity))
        told = dict(headers_of(CheckResponse.FromString(encoded).ok_response.headers))
        assert (told["x-ztag-subject"], told["x-ztag-issuer"]) == (identity.subject, identity.issuer)


def held(encoder: Encoder) -> int:
    return sum(part.held_bytes for part in vars(encoder).values() if isinstance(part, Remembered))


def test_names_of_a_clients_choice_are_removed_and_not_kept() -> None:
    encoder = Encoder(ResponseSettings())
    encoder.encode(request(check()), decided(Allow()))
    before = held(encoder)
    for number in range(100):
        asked = request(check(headers={f"x-ztag-{number}": "a"}))
        ok = CheckResponse.FromString(encoder.encode(asked, decided(Allow()))).ok_response
        assert f"x-ztag-{number}" in ok.headers_to_remove
    assert held(encoder) == before > 0


def test_a_long_value_is_sent_and_not_kept() -> None:
    encoder = Encoder(ResponseSettings())
    encoder.encode(request(check()), decided(Allow()))
    before = held(encoder)
    for number in range(100):
        allow = Allow(request_headers=(("x-echo", f"{number:0>10000}"),))
        ok = CheckResponse.FromString(encoder.encode(request(check()), decided(allow))).ok_response
        assert ("x-echo", f"{number:0>10000}") in headers_of(ok.headers)
    assert held(encoder) - before < 2_000  # the names that are not removed


def test_one_allow_for_two_identities_tells_each_its_own_and_each_decision_its_id() -> None:
    encoder, allow = Encoder(ResponseSettings()), Allow(metadata={"team": "a"})
    for turn in range(3):
        for identity in (ALICE, Identity("bob", ALICE.issuer, "jwt"), None):
            decision = replace(decided(allow, identity), id=f"{turn:0>36}")
            response = CheckResponse.FromString(encoder.encode(request(check()), decision))
            told = dict(headers_of(response.ok_response.headers))
            assert told.get("x-ztag-subject") == (identity.subject if identity else None)
            assert told["x-ztag-decision-id"] == response.dynamic_metadata["decision_id"] == decision.id


@pytest.mark.parametrize("text", ["0" * 36, ID])
def test_what_a_policy_or_a_caller_says_never_becomes_the_decisions_id(text: str) -> None:
    allow = Allow(request_headers=(("x-echo", text),), metadata={"echo": text})
    decision = replace(decided(allow, Identity(text, text, "jwt")), id="f" * 36)
    response = CheckResponse.FromString(Encoder(ResponseSettings()).encode(request(check()), decision))
    told = dict(headers_of(response.ok_response.headers))
    assert [told[name] for name in ("x-echo", "x-ztag-subject", "x-ztag-issuer")] == [text] * 3
    assert response.dynamic_metadata["echo"] == text
