"""Every forged, confused, replayed and malformed token and proof, against one reader that accepts the good ones."""

from pathlib import Path

from tests.authentication.parts import KeyServer, jwk, key_set, request
from tests.authentication.proofs import bound, proof, shown
from tests.authentication.rig import Rig
from tests.authentication.test_dpop import BAD
from tests.authentication.test_jwt_attacks import FORGED, with_header
from ztag_extauthz.model import Deny


def test_s23_s24_no_attack_is_let_in_and_none_makes_us_ask_anybody(tmp_path: Path, key_server: KeyServer) -> None:
    url = f"{key_server.url}/mine"
    key_server.serve("/mine", key_set(jwk("RS256", "-attacker", kid="RS256")))
    rig = Rig(tmp_path, dpop={"algorithms": ["ES256", "EdDSA", "RS256"]})
    text = bound()
    good = shown(text, proof(text))
    rig.identity(good)
    attacks = [
        *(request(f"Bearer {forge()}") for forge in FORGED),
        *(request(f"Bearer {with_header(**{member: url})}") for member in ("jku", "x5u", "kid")),
        *(shown(text, make(text)) for make, _ in BAD.values()),
        request(f"Bearer {text}"),
        good,
    ]
    assert len(attacks) >= 60
    assert [attack for attack in attacks if not isinstance(rig.answer(attack), Deny)] == []
    assert key_server.asked == []
