"""Security event tokens, signed by PyJWT, which is not ours."""

import json
from pathlib import Path
from typing import Any

import jwt as pyjwt

from tests.authentication.parts import NOW, Clock, jwk, key_set, private_key, resources
from ztag_extauthz.revocation.receiver import Receiver
from ztag_extauthz.revocation.settings import RevocationSettings

IDP = "https://idp.example"
US = "https://ztag.example/events"
CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
SECRET = "s" * 32
REMEMBER = 86400.0
ANN = {"format": "iss_sub", "iss": IDP, "sub": "ann"}


def claims(event: str = f"{CAEP}session-revoked", payload: Any = None, **changes: Any) -> dict[str, Any]:
    """Return a good token's claims; a claim that is None is left out."""
    events = {event: {"event_timestamp": int(NOW) - 5} if payload is None else payload}
    good = {"iss": IDP, "aud": US, "iat": int(NOW), "jti": "set-1", "sub_id": ANN, "events": events}
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(document: dict[str, Any], name: str = "", header: dict[str, Any] | None = None) -> str:
    """Sign whatever claims; PyJWT's own checks of them are left out."""
    fields = {"kid": "ES256", "typ": "secevent+jwt", **(header or {})}
    key: Any = private_key("ES256", name)
    return pyjwt.PyJWS().encode(json.dumps(document).encode(), key, "ES256", headers=fields)


def token(**changes: Any) -> str:
    return signed(claims(**changes))


def settings(port: int = 1, **changes: Any) -> RevocationSettings:
    """Return settings with one transmitter, changed as said."""
    transmitter = {"issuer": IDP, "audiences": [US], "algorithms": ["ES256"], "jwks": {"file": "idp.json"}, **changes}
    redis = {"url": f"redis://127.0.0.1:{port}", "timeout": 1.0}
    return RevocationSettings.model_validate({"redis": redis, "secret": SECRET, "transmitters": [transmitter]})


def receiver(folder: Path, clock: Clock | None = None, **changes: Any) -> Receiver:
    (folder / "idp.json").write_bytes(key_set(jwk("ES256")))
    return settings(**changes).receiver(resources(folder, clock))
