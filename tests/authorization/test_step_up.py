import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import ValidationError

from tests.authentication.parts import NOW, Clock, resources
from tests.authorization.parts import FAR
from tests.requests import make_identity, make_request
from ztag_extauthz.authorization.step_up import ROUTE_EXTENSION, StepUp, StepUpSettings
from ztag_extauthz.model import Allow, Context, Deny, Reason, Request, Verdict

STRONG = {"acr": "urn:mfa", "auth_time": int(NOW) - 10}


def step_up(*rules: dict[str, Any]) -> StepUp:
    settings = StepUpSettings.model_validate({"kind": "step_up", "rules": rules})
    return settings.build(resources(Path(), Clock()))


def ask(kind: StepUp, request: Request, **claims: Any) -> Verdict:
    return asyncio.run(kind.authorize(Context(request, make_identity(claims=claims)), FAR))


def passes(kind: StepUp, request: Request, **claims: Any) -> bool:
    return isinstance(ask(kind, request, **claims), Allow)


PAYMENTS = {"paths": ["/payments"], "acr_values": ["urn:mfa", "urn:hwk"], "max_age": 300}


def test_the_challenge_says_what_is_asked_for() -> None:
    refusal = ask(step_up(PAYMENTS), make_request(path="/payments"))
    assert isinstance(refusal, Deny)
    assert refusal.reason is Reason.STEP_UP
    ((name, value),) = refusal.headers
    assert name == "www-authenticate"
    assert value == (
        'Bearer error="insufficient_user_authentication", error_description="A stronger or fresher sign-in is '
        'required", acr_values="urn:mfa urn:hwk", max_age="300"'
    )


@pytest.mark.parametrize(
    ("rule", "parameters"), [({"acr_values": ["a"]}, 'acr_values="a"'), ({"max_age": 0}, 'max_age="0"')]
)
def test_the_challenge_names_only_what_is_asked_for(rule: dict[str, Any], parameters: str) -> None:
    refusal = ask(step_up({"paths": ["/"], **rule}), make_request())
    assert isinstance(refusal, Deny)
    assert refusal.headers[0][1].endswith(f'required", {parameters}')


def test_the_challenge_is_in_the_scheme_that_the_token_was_shown_with() -> None:
    refusal = ask(step_up(PAYMENTS), make_request(path="/payments", headers={"authorization": "dpop x"}))
    assert isinstance(refusal, Deny)
    assert refusal.headers[0][1].startswith("DPoP error=")


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"acr": "urn:mfa"},
        {"auth_time": NOW},
        {"acr": "urn:pwd", "auth_time": NOW},
        {"acr": ["urn:mfa"], "auth_time": NOW},
        {"acr": "urn:mfa", "auth_time": NOW - 301},
        {"acr": "urn:mfa", "auth_time": NOW + 61},
        {"acr": "urn:mfa", "auth_time": str(NOW)},
        {"acr": "urn:mfa", "auth_time": True},
        {"acr": "urn:mfa", "auth_time": None},
        {"acr": "urn:mfa urn:hwk", "auth_time": NOW},
    ],
)
def test_what_is_too_weak_too_old_or_no_date_is_refused(claims: dict[str, Any]) -> None:
    assert not passes(step_up(PAYMENTS), make_request(path="/payments"), **claims)


@pytest.mark.parametrize("claims", [STRONG, {"acr": "urn:hwk", "auth_time": NOW - 300}])
def test_what_is_strong_and_fresh_passes(claims: dict[str, Any]) -> None:
    assert passes(step_up(PAYMENTS), make_request(path="/payments"), **claims)


@pytest.mark.parametrize(
    "path",
    [
        "/payments", "/payments/", "/payments/7?x=1", "/PAYMENTS", "/%70ayments", "//payments", "/a/../payments",
        "/./payments", "/payments;v=1/7", "/payments?", "/payments#x", "\\payments",
    ],
)  # fmt: skip
def test_no_spelling_of_a_path_is_a_way_around(path: str) -> None:
    assert not passes(step_up(PAYMENTS), make_request(path=path))


@pytest.mark.parametrize("path", ["/", "/orders", "/paymentsx", "/orders/payments", "/pay"])
def test_other_paths_are_not_asked(path: str) -> None:
    assert passes(step_up(PAYMENTS), make_request(path=path))


@given(st.text(max_size=40))
def test_whatever_the_path_is_the_whole_service_can_be_asked(path: str) -> None:
    assert not passes(step_up({"paths": ["/"], "max_age": 1}), make_request(path=path))


def test_a_rule_may_be_about_methods_hosts_and_routes() -> None:
    kind = step_up(
        {"paths": ["/a"], "methods": ["post"], "hosts": ["Shop.example"], "max_age": 1},
        {"routes": ["checkout"], "max_age": 1},
    )
    asked = make_request(path="/a", method="POST", host="shop.example:8443")
    assert not passes(kind, asked)
    assert not passes(kind, replace(asked, host="SHOP.example."))
    assert passes(kind, replace(asked, method="GET"))
    assert passes(kind, replace(asked, host="app.example"))
    assert not passes(kind, make_request(path="/b", context_extensions={ROUTE_EXTENSION: "checkout"}))
    assert passes(kind, make_request(path="/b", context_extensions={ROUTE_EXTENSION: "cart"}))


@pytest.mark.parametrize("host", ["", ":", ":443", "."])
def test_never_4_a_request_without_a_host_is_asked_for_more(host: str) -> None:
    kind = step_up({"paths": ["/"], "hosts": ["shop.example"], "max_age": 1})
    assert not passes(kind, make_request(host=host))
    assert passes(kind, make_request(host=host), auth_time=NOW)


@pytest.mark.parametrize("named", ["/payments", "/payments/", "/payments/*"])
def test_a_path_is_meant_with_all_below_it(named: str) -> None:
    kind = step_up({"paths": [named], "max_age": 1})
    assert not passes(kind, make_request(path="/payments"))
    assert not passes(kind, make_request(path="/payments/7"))
    assert passes(kind, make_request(path="/paymentsx"))
    assert not passes(step_up({"paths": ["/*"], "max_age": 1}), make_request(path="/"))


def test_every_rule_about_a_request_has_to_be_met() -> None:
    kind = step_up({"paths": ["/"], "max_age": 3600}, PAYMENTS)
    assert passes(kind, make_request(path="/"), auth_time=NOW - 600)
    assert not passes(kind, make_request(path="/payments"), auth_time=NOW - 600)


@pytest.mark.parametrize(
    ("named", "called"),
    [
        ("shop.example.", "shop.example"),
        ("Shop.Example", "sHOP.example.:443"),
        ("shop.example", "shop.example:"),
        ("shop.example", "shop.example:443:443"),
        ("*.shop.example", "a.b.shop.example:1"),
        ("[::1]", "[::1]"),
        ("[2001:DB8::1]", "[2001:db8::1]:8443"),
    ],
)
def test_no_spelling_of_a_host_is_a_way_around(named: str, called: str) -> None:
    kind = step_up({"paths": ["/"], "hosts": [named], "max_age": 1})
    assert not passes(kind, make_request(host=called))
    assert passes(kind, make_request(host="app.example"))


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ({"paths": ["/"], "hosts": ["shop.example:443"], "max_age": 1}, "without a port"),
        ({"max_age": 1}, "neither paths nor routes"),
        ({"paths": ["/"]}, "asks for nothing"),
        ({"paths": ["payments"], "max_age": 1}, "write /payments"),
        ({"paths": ["/pay*"], "max_age": 1}, "write /payments"),
        ({"paths": ["/"], "acr_values": ['a"b']}, "pattern"),
        ({"paths": ["/"], "acr_values": ["a b"]}, "pattern"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_a_mistake(rule: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        step_up(rule)
