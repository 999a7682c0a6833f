"""All kinds together, as the settings put them in a row: whoever shows a credential is never nobody."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.authentication.parts import ALGORITHMS, FOREVER, ISSUER, jwk, key_set, request, resources, token
from ztag_extauthz.authentication import AuthenticatorSettings
from ztag_extauthz.authentication.interface import join
from ztag_extauthz.authorization.interface import Authorizer
from ztag_extauthz.model import Allow, Context, Decision, Deny, Request, Verdict
from ztag_extauthz.pipeline import Pipeline

KINDS = [
    {"kind": "jwt", "issuer": ISSUER},
    {"kind": "jwt", "issuer": "https://edge.example", "header": "cf-access-jwt-assertion"},
    {"kind": "jwt", "issuer": "https://other.example"},
    {"kind": "anonymous"},
]
COMMON = {"audiences": ["mesh"], "algorithms": ALGORITHMS, "jwks": {"file": "jwks.json"}}


class Everybody(Authorizer):
    kind = "everybody"

    async def authorize(self, context: Context, deadline: float) -> Verdict:  # noqa: ARG002
        return Allow()


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = tmp_path_factory.mktemp("keys")
    (folder / "jwks.json").write_bytes(key_set(jwk("RS256"), jwk("ES256")))
    adapter: TypeAdapter[AuthenticatorSettings] = TypeAdapter(AuthenticatorSettings)
    settings = [adapter.validate_python(kind | (COMMON if kind["kind"] == "jwt" else {})) for kind in KINDS]
    parts = resources(folder)
    return Pipeline([], join(entry.build(parts) for entry in settings), [Everybody()], [], parts.clock)


def decide(pipeline: Pipeline, asked: Request) -> Decision:
    return asyncio.run(pipeline.decide(asked, FOREVER))


def test_who_shows_nothing_is_nobody(pipeline: Pipeline) -> None:
    decision = decide(pipeline, request())
    assert decision.identity is not None
    assert decision.identity.kind == "anonymous"


@pytest.mark.parametrize("issuer", [ISSUER, "https://other.example"])
def test_each_issuer_is_known(pipeline: Pipeline, issuer: str) -> None:
    decision = decide(pipeline, request(f"Bearer {token(iss=issuer)}"))
    assert decision.identity is not None
    assert decision.identity.issuer == issuer


def test_each_header_has_its_own_issuers(pipeline: Pipeline) -> None:
    edge = token(iss="https://edge.example")
    assert isinstance(decide(pipeline, request(cf_access_jwt_assertion=edge)).verdict, Allow)
    for asked in (request(f"Bearer {edge}"), request(cf_access_jwt_assertion=token())):
        assert isinstance(decide(pipeline, asked).verdict, Deny)


@given(st.tuples(st.sampled_from(["", "Bearer ", "bearer", "Basic ", "DPoP "]), st.text(max_size=80)).map("".join))
@pytest.mark.parametrize("header", ["authorization", "cf-access-jwt-assertion"])
def test_s06_no_value_of_a_credentials_header_is_nobody(pipeline: Pipeline, header: str, value: str) -> None:
    decision = decide(pipeline, request(**{header: value}))
    assert isinstance(decision.verdict, Deny)
    assert decision.identity is None
    assert any(name == "www-authenticate" for name, _ in decision.verdict.headers)


@pytest.mark.parametrize("issuer", ["https://third.example", "", None])
def test_s14_a_token_of_an_unknown_issuer_is_not_nobodys(pipeline: Pipeline, issuer: str | None) -> None:
    text = token(iss=issuer)
    for asked in (request(f"Bearer {text}"), request(cf_access_jwt_assertion=text)):
        assert isinstance(decide(pipeline, asked).verdict, Deny)
