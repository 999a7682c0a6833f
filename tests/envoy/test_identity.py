from envoy.service.auth.v3.external_auth_pb2 import OkHttpResponse
from hypothesis import given
from hypothesis import strategies as st

from ztag_extauthz.envoy.identity import ISSUER, KIND, SUBJECT, headers_of
from ztag_extauthz.fields import visible
from ztag_extauthz.model import Identity

texts = st.text(st.characters(codec="utf-8"), max_size=200)


@given(texts, texts, texts)
def test_says_who_asks_and_leaves_out_what_is_not_known(subject: str, issuer: str, kind: str) -> None:
    encoded, names = headers_of(Identity(subject, issuer, kind))
    told = {SUBJECT: subject, ISSUER: issuer, KIND: kind}
    expected = {name: visible(value) for name, value in told.items() if value}
    options = OkHttpResponse.FromString(encoded).headers
    assert {option.header.key: option.header.value for option in options} == expected
    assert names == expected.keys()
    assert not any(option.append.value for option in options)


def test_says_nothing_of_nobody() -> None:
    assert headers_of(None) == (b"", frozenset())
