import json
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.requests import make_identity
from ztag_extauthz.fields import is_value
from ztag_extauthz.identity_headers import IdentityHeaders, why_not

ANN = make_identity(
    "ann",
    claims={
        "org": {"tenant": "acme"},
        "https://example.com/plan": "gold",
        "level": 3,
        "admin": False,
        "tags": ["a", 1],
    },
    expires_at=1_800_000_000.5,
    scopes=("read", "write"),
    roles=("a,b", "c d"),
)


def value(template: str, identity: Any = ANN) -> str | None:
    return dict(IdentityHeaders({"X-Test": template}).of(identity)).get("x-test")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{subject}", "ann"),
        ("{issuer}", "https://issuer.example"),
        ("{kind}", "jwt"),
        ("{expires_at}", "1800000000"),
        ("{scopes}", "read,write"),
        ("{roles}", "a%2Cb,c%20d"),
        ("user={subject}; by={kind}", "user=ann; by=jwt"),
        ("{claims.org.tenant}", "acme"),
        ("{claims.https://example.com/plan}", "gold"),
        ("{claims.level}/{claims.admin}", "3/false"),
        ("{claims.tags}", "a,1"),
        ("{claims.org}", "%7B%22tenant%22:%22acme%22%7D"),
        ("{groups}", None),
        ("{claims.nothing}", None),
        ("{subject} of {claims.org.nothing}", None),
        ("{claims.level.deeper}", None),
    ],
)
def test_a_template_becomes_a_value_or_no_header(template: str, expected: str | None) -> None:
    assert why_not("x-test", template) == ""
    assert value(template) == expected


def test_nobody_has_headers_only_if_somebody_is_known() -> None:
    assert value("{subject}", None) is None
    assert value("{subject}", make_identity("anonymous", kind="anonymous")) is None


@given(st.text(), st.lists(st.text(), max_size=4))
def test_no_value_can_end_its_field_or_look_like_what_stands_around_it(subject: str, roles: list[str]) -> None:
    found = value("u={subject};r={roles}", make_identity(subject, roles=tuple(roles)))
    if not subject or not any(roles):
        assert found is None
        return
    assert found is not None
    assert is_value(found)
    assert found.isascii()
    user, names = found.split(";")
    assert unquote(user.removeprefix("u=")) == subject.encode(errors="replace").decode()
    given_names = [name.encode(errors="replace").decode() for name in roles if name]
    assert [unquote(name) for name in names.removeprefix("r=").split(",")] == given_names


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.none() | st.text(max_size=5), min_size=1, max_size=3))
def test_an_object_can_be_read_again(claim: dict[str, Any]) -> None:
    found = value("{claims.c}", make_identity(claims={"c": claim}))
    assert found is not None
    assert json.loads(unquote(found)) == claim


@pytest.mark.parametrize(
    ("name", "template"),
    [
        ("x user", "{subject}"), ("host", "{subject}"), ("x-ztag-user", "{subject}"), (":path", "{subject}"),
        ("x-a", ""), ("x-a", "plain"), ("x-a", "{subject"), ("x-a", "subject}"), ("x-a", "{}"), ("x-a", "{made_up}"),
        ("x-a", "{claims.}"), ("x-a", "{claims}"), ("x-a", "{subject}\n"), ("x-a", "é{subject}"), ("x-a", " {subject}"),
        ("x-a", "{{subject}}"),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_meant_is_a_mistake(name: str, template: str) -> None:
    assert why_not(name, template)
