import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.authentication.parts import FOREVER, NOW, jwk, key_set, request, resources, token
from ztag_extauthz.authentication.kubernetes import CLUSTER, KubernetesSettings
from ztag_extauthz.model import Deny, Identity

BOUND: dict[str, Any] = {"namespace": "shop", "serviceaccount": {"name": "orders", "uid": "1"}, "pod": {"name": "p"}}


def answer(folder: Path, text: str, **changes: Any) -> Identity | Deny | None:
    (folder / "keys.json").write_bytes(key_set(jwk("RS256")))
    good = {"kind": "kubernetes", "audiences": ["ztag"], "jwks": {"file": "keys.json"}}
    kind = KubernetesSettings.model_validate(good | changes).build(resources(folder))
    return asyncio.run(kind.authenticate(request(f"Bearer {text}"), FOREVER))


def projected(**changes: Any) -> str:
    """Return a token as the API server projects it into a pod."""
    good: dict[str, Any] = {
        "header": {"typ": None},
        "iss": CLUSTER,
        "aud": ["ztag"],
        "sub": "system:serviceaccount:shop:orders",
        "kubernetes.io": BOUND,
        "client_id": None,
        "exp": int(NOW) + 3607,
    }
    return token(**(good | changes))


def test_says_which_service_account_asks(tmp_path: Path) -> None:
    found = answer(tmp_path, projected())
    assert isinstance(found, Identity)
    assert (found.subject, found.issuer, found.kind) == ("system:serviceaccount:shop:orders", CLUSTER, "kubernetes")
    assert found.claims["kubernetes.io"]["pod"]["name"] == "p"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": [CLUSTER]},
        {"sub": "system:serviceaccount:kube-system:admin"},
        {"sub": "alice"},
        {"kubernetes.io": None},
        {"kubernetes.io": {"namespace": "shop"}},
        {"kubernetes.io": "shop"},
        {"kubernetes.io": {**BOUND, "namespace": "other"}},
        {"iss": "kubernetes/serviceaccount"},
        {"iat": None},
        {"exp": None},
        {"exp": int(NOW) + 365 * 86_400},
        {"header": {"typ": "at+jwt"}},
    ],
)
def test_anything_else_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert isinstance(answer(tmp_path, projected(**changes)), Deny)


def test_namespaces_can_be_narrowed(tmp_path: Path) -> None:
    assert isinstance(answer(tmp_path, projected(), namespaces=["shop"]), Identity)
    refused = answer(tmp_path, projected(), namespaces=["other"])
    assert isinstance(refused, Deny)
    assert "namespace" in refused.detail
