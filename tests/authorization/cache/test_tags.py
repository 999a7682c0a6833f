from tests.requests import make_identity, make_request
from ztag_extauthz.authorization.cache.tags import tags_of
from ztag_extauthz.model import Context


def test_a_request_has_the_tags_of_who_asks_and_what_for() -> None:
    identity = make_identity(claims={"org": "acme", "other": 1})
    context = Context(make_request(path="/orders/17?x=1", host="shop.example"), identity)
    plain = ("all", "subject:https://issuer.example|alice", "resource:shop.example/orders/17")
    assert tags_of(context, None) == plain
    assert tags_of(context, "org") == (*plain, "tenant:acme")
    assert tags_of(context, "missing") == plain
