import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.authentication.parts import FOREVER, jwk, key_set, request, resources, token
from tests.authentication.test_api_key import Rig as KeyRig
from ztag_extauthz.authentication.anonymous import AnonymousSettings
from ztag_extauthz.authentication.interface import Authenticator, join
from ztag_extauthz.authentication.jwt import JwtSettings
from ztag_extauthz.authentication.one_place import OnePlace, guarded
from ztag_extauthz.model import Deny, Identity, Reason, Request


def jwt(folder: Path, issuer: str = "https://issuer.example", **changes: Any) -> Authenticator:
    (folder / "jwks.json").write_bytes(key_set(jwk("ES256")))
    good = {"kind": "jwt", "issuer": issuer, "audiences": ["mesh"], "algorithms": ["ES256"]}
    settings = JwtSettings.model_validate(good | {"jwks": {"file": "jwks.json"}} | changes)
    return settings.build(resources(folder))


@pytest.fixture
def kinds(tmp_path: Path) -> list[Authenticator]:
    keys = KeyRig(tmp_path)
    keys.add()
    other = jwt(tmp_path, "https://other.example", header="x-token", cookie="session")
    return guarded(
        join([jwt(tmp_path), other, keys.build(), AnonymousSettings(kind="anonymous").build(resources(tmp_path))])
    )


def answer(kinds: list[Authenticator], asked: Request) -> Identity | Deny | None:
    for kind in kinds:
        found = asyncio.run(kind.authenticate(asked, FOREVER))
        if found is not None:
            return found
    return None


GOOD = f"Bearer {token('ES256')}"


@pytest.mark.parametrize(
    "asked",
    [
        request(GOOD, x_api_key="k"),
        request(GOOD, x_token="t"),
        request(GOOD, cookie="session=t"),
        request(x_token="t", x_api_key="k"),
        request(cookie="session=t", x_api_key="k"),
        request(x_token="t", cookie="session=t"),
        request("bearer x", x_api_key=""),
    ],
)
def test_s06_credentials_in_two_places_are_a_400(kinds: list[Authenticator], asked: Request) -> None:
    found = answer(kinds, asked)
    assert isinstance(found, Deny)
    assert found.reason is Reason.MALFORMED_REQUEST
    assert 'error="invalid_request"' in found.headers[0][1]


def test_one_credential_is_enough(kinds: list[Authenticator]) -> None:
    for asked in (request(GOOD), request(GOOD, cookie="other=1"), request(GOOD, x_other="t")):
        assert isinstance(answer(kinds, asked), Identity)
    nobody = answer(kinds, request())
    assert isinstance(nobody, Identity)
    assert nobody.kind == "anonymous"


def test_a_scheme_that_is_not_ours_is_no_credential(kinds: list[Authenticator]) -> None:
    found = answer(kinds, request("Basic x", x_api_key="unknown"))
    assert isinstance(found, Deny)
    assert found.reason is Reason.INVALID_CREDENTIALS


def test_where_there_is_one_place_nobody_guards_it(tmp_path: Path) -> None:
    assert [type(kind) for kind in guarded(join([jwt(tmp_path), jwt(tmp_path, "https://other.example")]))] != []
    assert not isinstance(guarded(join([jwt(tmp_path)]))[0], OnePlace)
    assert isinstance(guarded(join([jwt(tmp_path, cookie="session")]))[0], OnePlace)
