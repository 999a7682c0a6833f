import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse

from tests.envoy.checks import ALICE, check, decided, headers_of, request
from tests.requests import make_request
from ztag_extauthz.envoy import Encoder
from ztag_extauthz.envoy.credentials import Credentials
from ztag_extauthz.model import EMPTY, Allow
from ztag_extauthz.protected_resource import ProtectedResources
from ztag_extauthz.settings import ResponseSettings

WHERE = Credentials(frozenset({"authorization", "dpop"}), frozenset({"session"}))


@pytest.mark.parametrize(
    ("cookie", "left"),
    [
        ("a=1; session=t; b=2", "a=1; b=2"),
        ("session=t", ""),
        ("session=t; session=u", ""),
        ("a=1,session=t; b=2", "a=1; b=2"),
        ("SESSION=t", None),
        ("a=session", "a=session"),
        ("sessions=1; session = t", "sessions=1"),
        ("a=1", None),
        ("", None),
    ],
)
def test_a_cookie_is_taken_out_of_the_others(cookie: str, left: str | None) -> None:
    assert WHERE.without(make_request(headers={"cookie": cookie} if cookie else {})) == left


def ok(settings: ResponseSettings, allow: Allow = Allow(), **headers: str) -> tuple[dict[str, str], set[str]]:  # noqa: B008
    """Return the headers that are set and those that are removed."""
    encoder = Encoder(settings, None, ProtectedResources((), EMPTY), WHERE)
    encoded = encoder.encode(request(check(headers=headers)), decided(allow, ALICE))
    answer = CheckResponse.FromString(encoded).ok_response
    return dict(headers_of(answer.headers)), set(answer.headers_to_remove)


def test_credentials_stay_here_where_the_settings_say_so() -> None:
    settings = ResponseSettings(remove_credentials=True)
    _, removed = ok(settings, authorization="Bearer t")
    assert {"authorization", "dpop"} <= removed
    given, removed = ok(settings, cookie="a=1; session=t")
    assert given["cookie"] == "a=1"
    assert "cookie" not in removed
    given, removed = ok(settings, cookie="session=t")
    assert "cookie" not in given
    assert "cookie" in removed
    given, removed = ok(settings, cookie="a=1")
    assert "cookie" not in given | dict.fromkeys(removed, "")


def test_what_the_policy_sets_the_upstream_gets() -> None:
    settings = ResponseSettings(remove_credentials=True)
    allow = Allow(request_headers=(("authorization", "Basic x"), ("cookie", "theirs=1")))
    given, removed = ok(settings, allow, cookie="session=t", authorization="Bearer t")
    assert (given["authorization"], given["cookie"]) == ("Basic x", "theirs=1")
    assert {"authorization", "cookie"}.isdisjoint(removed)


def test_credentials_go_on_where_the_settings_do_not_say_so() -> None:
    given, removed = ok(ResponseSettings(), cookie="session=t", authorization="Bearer t")
    assert {"cookie", "authorization"}.isdisjoint(given | dict.fromkeys(removed, ""))


def test_headers_of_templates_are_ours_alone() -> None:
    settings = ResponseSettings(headers={"X-User": "{subject}", "x-org": "{claims.org}"})
    forged = {"x-user": "root", "x_user": "root", "x-org": "root"}
    given, removed = ok(settings, Allow(request_headers=(("x-user", "root"), ("x-org", "root"))), **forged)
    assert given["x-user"] == "alice"
    assert "x-org" not in given
    assert {"x_user", "x-org", "x_org"} <= removed
    assert "x-user" not in removed
