from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.revocation.parts import ANN, CAEP, IDP, claims
from ztag_extauthz.revocation.events import RISC, EventName, Sender, SubjectError, revoked_by

SENDER = Sender(IDP, emails=False, events=frozenset(get_args(EventName)))
OPAQUE = {"format": "opaque", "id": "dMTlD|16008.16"}


def revoked(sender: Sender = SENDER, **changes: Any) -> list[Any]:
    return [named for named, _ in revoked_by(claims(**changes), sender)]


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        (f"{CAEP}session-revoked", {}),
        (f"{CAEP}credential-change", {"credential_type": "password", "change_type": "update"}),
        (f"{CAEP}credential-change", {"credential_type": "fido2-platform", "change_type": "revoke"}),
        (f"{CAEP}credential-change", {"change_type": "delete"}),
        (f"{CAEP}token-claims-change", {"claims": {"role": "ro-admin"}}),
        (f"{CAEP}assurance-level-change", {"change_direction": "decrease", "current_level": "nist-aal1"}),
        (f"{CAEP}assurance-level-change", {"current_level": "nist-aal1"}),
        (f"{CAEP}risk-level-change", {"current_level": "HIGH", "previous_level": "LOW", "principal": "USER"}),
        (f"{CAEP}device-compliance-change", {"current_status": "not-compliant", "previous_status": "compliant"}),
        (f"{RISC}account-disabled", {"reason": "hijacking"}),
        (f"{RISC}account-purged", {}),
        (f"{RISC}account-credential-change-required", {}),
        (f"{RISC}credential-compromise", {"credential_type": "password"}),
        (f"{RISC}sessions-revoked", {}),
    ],
)
def test_what_takes_trust_away_revokes(event: str, payload: dict[str, Any]) -> None:
    assert revoked(event=event, payload=payload) == [("subject", IDP, "ann")]
    assert revoked(Sender(IDP, emails=False, events=frozenset()), event=event, payload=payload) == []


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        (f"{CAEP}credential-change", {"change_type": "create"}),
        (f"{CAEP}assurance-level-change", {"change_direction": "increase"}),
        (f"{CAEP}risk-level-change", {"current_level": "MEDIUM"}),
        (f"{CAEP}risk-level-change", {"current_level": "LOW"}),
        (f"{CAEP}device-compliance-change", {"current_status": "compliant"}),
        (f"{CAEP}session-established", {}),
        (f"{CAEP}session-presented", {}),
        (f"{RISC}account-enabled", {}),
        ("https://schemas.openid.net/secevent/ssf/event-type/verification", {"state": "x"}),
        ("https://example.com/made-up", "text"),
    ],
)
def test_what_only_tells_means_nothing(event: str, payload: Any) -> None:
    assert revoked(event=event, payload=payload) == []


COMPLEX = {"format": "complex", "user": ANN, "session": OPAQUE, "device": {"format": "opaque", "id": "d"}}


@pytest.mark.parametrize(
    ("subject", "named"),
    [
        (ANN, [("subject", IDP, "ann")]),
        ({"subject_type": "iss-sub", "iss": IDP, "sub": "ann"}, [("subject", IDP, "ann")]),
        (OPAQUE, [("subject", IDP, OPAQUE["id"]), ("session", IDP, OPAQUE["id"])]),
        ({"format": "jwt_id", "iss": IDP, "jti": "7"}, [("token", IDP, "7")]),
        ({"format": "uri", "uri": "spiffe://mesh.example/a"}, [("subject", "spiffe://mesh.example", "spiffe://mesh.example/a")]),
        (COMPLEX, [("session", IDP, OPAQUE["id"])]),
        ({"format": "complex", "user": ANN}, [("subject", IDP, "ann")]),
        ({"format": "aliases", "identifiers": [{"format": "email", "email": "a@b"}, ANN]}, [("subject", IDP, "ann")]),
    ],
)  # fmt: skip
def test_whom_a_subject_names(subject: Any, named: list[Any]) -> None:
    assert revoked(sub_id=subject) == named
    assert revoked(sub_id=None, payload={"subject": subject}) == named


def test_what_changes_a_user_is_about_the_user_not_the_session() -> None:
    assert revoked(event=f"{CAEP}risk-level-change", payload={"current_level": "HIGH"}, sub_id=COMPLEX) == [
        ("subject", IDP, "ann")
    ]
    alone = {"format": "complex", "session": OPAQUE}
    assert revoked(event=f"{CAEP}token-claims-change", payload={}, sub_id=alone) == [("session", IDP, OPAQUE["id"])]


def test_an_address_names_somebody_only_where_subjects_are_addresses() -> None:
    address = {"format": "email", "email": "ann@example.com"}
    sender = Sender(IDP, emails=True, events=SENDER.events)
    assert revoked(sender, sub_id=address) == [("subject", IDP, "ann@example.com")]
    with pytest.raises(SubjectError):
        revoked(sub_id=address)


@pytest.mark.parametrize(
    "subject",
    [
        None, "ann", [], {}, {"format": "iss_sub"}, {"format": "iss_sub", "iss": IDP, "sub": ""},
        {"format": "iss_sub", "iss": 1, "sub": "ann"}, {"format": "phone_number", "phone_number": "+1"},
        {"format": "uri", "uri": "https://example.com"}, {"format": "uri", "uri": "spiffe://UPPER/x"},
        {"format": "complex"}, {"format": "complex", "device": ANN}, {"format": "aliases", "identifiers": "x"},
        {"format": "aliases", "identifiers": [{"format": "aliases", "identifiers": [ANN]}]},
        {"format": ["iss_sub"], "iss": IDP, "sub": "ann"}, {"format": "opaque", "id": 7},
    ],
)  # fmt: skip
def test_an_event_that_names_nobody_is_refused(subject: Any) -> None:
    with pytest.raises(SubjectError):
        revoked(sub_id=subject)


def test_an_event_that_is_no_object_is_refused() -> None:
    with pytest.raises(SubjectError):
        revoked(payload="text")


members = st.sampled_from(["format", "iss", "sub", "user", "session", "identifiers", "id"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members, inner, max_size=4),
    max_leaves=12,
)


@given(json_values, json_values)
def test_whatever_a_transmitter_says_is_read_or_refused(subject: Any, payload: Any) -> None:
    try:
        revoked(sub_id=subject, payload={"subject": payload})
    except SubjectError:
        assert True
