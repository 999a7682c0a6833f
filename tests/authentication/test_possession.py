from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.authentication.parts import encode, request, token
from tests.authentication.proofs import proof, public, shown
from tests.authentication.rig import Rig
from tests.authentication.svids import Mesh, encoded
from ztag_extauthz.authentication.jose.thumbprint import thumbprint
from ztag_extauthz.model import Peer, Request

GATEWAY = "spiffe://mesh.example/ns/edge/sa/gateway"
MESH = Mesh()
OURS, OTHER = MESH.issue("spiffe://mesh.example/a"), MESH.issue("spiffe://mesh.example/b")
BOUND = {"x5t#S256": encode(sha256(OURS).digest())}


def over(certificate: bytes | None, asked: Request, principal: str = "spiffe://mesh.example/a") -> Request:
    shown_certificate = "" if certificate is None else encoded(certificate)
    return replace(asked, source=Peer("10.0.0.1", 1, principal, certificate=shown_certificate))


def bearer(**headers: str) -> Request:
    return request(f"Bearer {token(cnf=BOUND)}", **headers)


def test_a_token_is_accepted_over_the_connection_that_it_is_bound_to(rig: Rig) -> None:
    rig.identity(over(OURS, bearer()))
    rig.identity(over(OURS, bearer()))
    assert rig.cached("hit") == 1


def test_s24_a_token_over_another_connection_is_refused(rig: Rig) -> None:
    rig.identity(over(OURS, bearer()))
    assert "another certificate" in rig.refusal(over(OTHER, bearer())).detail
    assert "shows none" in rig.refusal(over(None, bearer())).detail
    assert "shows none" in rig.refusal(bearer()).detail
    assert "no PEM" in rig.refusal(replace(bearer(), source=Peer("10.0.0.1", 1, "x", certificate="x"))).detail


def test_s24_a_forwarded_hash_counts_from_a_trusted_proxy_only(tmp_path: Path) -> None:
    told = {"x_forwarded_client_cert": f"By={GATEWAY};Hash={sha256(OURS).hexdigest()};URI=spiffe://mesh.example/a"}
    rig = Rig(tmp_path, forwarding={"hops": [GATEWAY]})
    rig.identity(over(None, bearer(**told), GATEWAY))
    rig.refusal(over(None, bearer(**told), "spiffe://mesh.example/thief"))
    other = {"x_forwarded_client_cert": told["x_forwarded_client_cert"].replace("Hash=", "Hash=00")}
    rig.refusal(over(None, bearer(**other), GATEWAY))
    rig.jwt = rig.build()
    rig.refusal(over(None, bearer(**told), GATEWAY))


@pytest.mark.parametrize("certificate", [OURS, OTHER])
def test_a_token_that_is_bound_to_both_needs_both(tmp_path: Path, certificate: bytes) -> None:
    rig = Rig(tmp_path, dpop={})
    both: dict[str, Any] = {**BOUND, "jkt": thumbprint(public())}
    text = token(cnf=both)
    answer = rig.answer(over(certificate, shown(text, proof(text))))
    assert (getattr(answer, "subject", None) == "alice") == (certificate is OURS)
    rig.refusal(over(certificate, request(f"Bearer {text}")))
