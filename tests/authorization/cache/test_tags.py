from itertools import product

import pytest

from tests.requests import make_identity, make_request
from ztag_extauthz.authorization.cache.tags import resource, tags_of
from ztag_extauthz.model import Context


def test_a_request_has_the_tags_of_who_asks_and_what_for() -> None:
    identity = make_identity(claims={"org": "acme", "other": 1})
    context = Context(make_request(path="/orders/17?x=1", host="shop.example"), identity)
    plain = ("all", "subject:https://issuer.example|alice", "resource:shop.example/orders/17")
    assert tags_of(context, None) == plain
    assert tags_of(context, "org") == (*plain, "tenant:acme")
    assert tags_of(context, "missing") == plain


HOSTS = ("shop.example", "SHOP.example", "shop.example:80", "shop.example:", "shop.example.", "Shop.Example.:8443")
PATHS = (
    "/caf%c3%a9/1",
    "/caf%C3%A9/1",
    "/CAF%C3%A9/1",
    "/caf%c3%a9/%31",
    "/caf%c3%a9//1",
    "/caf%c3%a9/1/",
    "/./caf%c3%a9/1?x=1",
)


@pytest.mark.parametrize(("host", "path"), list(product(HOSTS, PATHS)))
def test_never_4_a_resource_is_forgotten_however_it_is_spelled(host: str, path: str) -> None:
    asked = Context(make_request(path="/caf%c3%a9/1?y=2", host="shop.example"), make_identity())
    assert resource(host, path) in tags_of(asked, None)
    dodging = Context(make_request(path=path, host=host), make_identity())
    assert resource("shop.example", "/caf%c3%a9/1") in tags_of(dodging, None)


@pytest.mark.parametrize(
    "place", [("app.example", "/orders/1"), ("shop.example", "/orders"), ("a.shop.example", "/orders/1")]
)
def test_another_resource_is_not_forgotten(place: tuple[str, str]) -> None:
    assert resource(*place) not in tags_of(
        Context(make_request(path="/orders/1", host="shop.example"), make_identity()), None
    )
