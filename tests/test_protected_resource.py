import json
from typing import Any

import pytest
from pydantic import ValidationError

from tests.requests import make_request
from ztag_extauthz.model import Request
from ztag_extauthz.protected_resource import ProtectedResources, ProtectedResourceSettings

WELL_KNOWN = "/.well-known/oauth-protected-resource"
COMMON = {"authorization_servers": ["https://issuer.example"], "bearer_methods_supported": ["header"]}


def resources(*settings: dict[str, Any]) -> ProtectedResources:
    return ProtectedResources([ProtectedResourceSettings.model_validate(one) for one in settings], COMMON)


def asked(path: str, host: str = "api.example", method: str = "GET", scheme: str = "https") -> Request:
    return make_request(path=path, host=host, method=method, scheme=scheme)


TWO = resources(
    {"resource": "https://api.example", "scopes_supported": ["read"], "name": "Shop"},
    {
        "resource": "https://api.example/mcp/",
        "authorization_servers": ["https://other.example"],
        "dpop_required": True,
        "certificate_required": True,
        "documentation": "https://docs.example",
    },
)


def document(request: Request) -> Any:
    found = TWO.document(request)
    return None if found is None else json.loads(found)


def test_the_document_says_what_a_client_needs() -> None:
    assert document(asked(WELL_KNOWN)) == {
        "resource": "https://api.example",
        "authorization_servers": ["https://issuer.example"],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["read"],
        "resource_name": "Shop",
    }
    assert document(asked(f"{WELL_KNOWN}/mcp")) == {
        "resource": "https://api.example/mcp/",
        "authorization_servers": ["https://other.example"],
        "bearer_methods_supported": ["header"],
        "dpop_bound_access_tokens_required": True,
        "tls_client_certificate_bound_access_tokens": True,
        "resource_documentation": "https://docs.example",
    }


@pytest.mark.parametrize(
    ("request_", "there"),
    [
        (asked(WELL_KNOWN, method="HEAD"), True),
        (asked(f"{WELL_KNOWN}?x=1"), True),
        (asked(WELL_KNOWN, host="API.example:443"), True),
        (asked(WELL_KNOWN, host="api.example", scheme="http"), True),
        (asked(WELL_KNOWN, host="api.example:443", scheme="http"), True),
        (asked(WELL_KNOWN, method="POST"), False),
        (asked(WELL_KNOWN, host="evil.example"), False),
        (asked(WELL_KNOWN, host="api.example:8443"), False),
        (asked(f"{WELL_KNOWN}/orders"), False),
        (asked(f"/x{WELL_KNOWN}"), False),
        (asked("/"), False),
    ],
)
def test_only_who_asks_for_it_gets_it(request_: Request, *, there: bool) -> None:
    assert (document(request_) is not None) is there


def told(path: str, challenge: str, host: str = "api.example") -> str:
    ((_, value),) = TWO.told(asked(path, host), (("www-authenticate", challenge),))
    return value


def test_a_challenge_names_the_metadata_of_the_resource() -> None:
    address = f"https://api.example{WELL_KNOWN}"
    assert told("/orders?x", 'Bearer realm="a"') == f'Bearer resource_metadata="{address}", realm="a"'
    assert told("/mcp/7", 'DPoP error="x"') == f'DPoP resource_metadata="{address}/mcp", error="x"'
    assert told("/mcpx", 'Bearer realm="a"') == f'Bearer resource_metadata="{address}", realm="a"'
    both = told("/", 'Bearer realm="a", DPoP realm="a", algs="ES256"')
    assert both.count(f'resource_metadata="{address}"') == 2


@pytest.mark.parametrize(
    "challenge",
    ['ApiKey realm="a"', 'Basic realm="a"', 'Bearer resource_metadata="https://x", realm="a"', "Bearer", "nothing"],
)
def test_other_challenges_stay_as_they_are(challenge: str) -> None:
    assert told("/", challenge) == challenge


def test_what_is_of_no_resource_stays_as_it_is() -> None:
    assert told("/", 'Bearer realm="a"', host="evil.example") == 'Bearer realm="a"'
    headers = (("x-a", 'Bearer realm="a"'),)
    assert TWO.told(asked("/"), headers) == headers
    assert ProtectedResources((), {}).told(asked("/"), headers) is headers


@pytest.mark.parametrize(
    "resource",
    [
        "", "api.example", "http://api.example", "ftp://api.example", "https://", "https://a@api.example",
        "https://api.example?x", "https://api.example#x", "https://api.example/%41", "https://api.example:x",
        'https://api.example/"',
    ],
)  # fmt: skip
def test_what_is_no_resource_is_a_mistake(resource: str) -> None:
    with pytest.raises(ValidationError):
        resources({"resource": resource})


def test_loopback_may_be_plain() -> None:
    assert len(resources({"resource": "http://127.0.0.1:8080/orders"})) == 1
