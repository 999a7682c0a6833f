"""An upstream that believes nobody but ztag: it verifies `x-ztag-assertion`, as any Python service can."""

from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec import structs

from ztag_extauthz.assertion import HEADER
from ztag_extauthz.assertion.settings import AUDIENCE_EXTENSION, AssertionSettings
from ztag_extauthz.assertion.verifier import AssertionRefused, Verifier
from ztag_extauthz.demo.upstream import Echo
from ztag_extauthz.model import EMPTY, Identity, Peer, Request

ISSUER = "https://ztag.shop.example"
UPSTREAM = "orders"
KEY_FILE = "assertion.pem"
_ROOT = Identity("root", "https://issuer.example", "jwt")


def settings() -> dict[str, Any]:
    """Return the demo's section `response.assertion`."""
    return {"issuer": ISSUER, "keys": [KEY_FILE], "audience": UPSTREAM}


def write_key(folder: Path) -> None:
    """Write a new key for assertions."""
    key = ed25519.Ed25519PrivateKey.generate()
    (folder / KEY_FILE).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def made_by(folder: Path, upstream: str) -> str:
    """Return an assertion that the key in a folder signs: who has the key can be ztag."""
    signer = AssertionSettings.model_validate(settings()).build(folder, time)
    to_upstream = Request(
        id="",
        method="GET",
        scheme="http",
        host="",
        path="/",
        protocol="",
        headers=EMPTY,
        repeated=frozenset(),
        body=None,
        partial=False,
        source=Peer(),
        destination=Peer(),
        context_extensions={AUDIENCE_EXTENSION: upstream},
        is_http=True,
        defect="",
        attributes=lambda *_: {},
    )
    return signer.assertion(to_upstream, _ROOT, "")


def believing(admin: Callable[[], tuple[str, int]]) -> type[Echo]:
    """Return an upstream that says who asked; `admin` tells where ztag shows its keys."""
    verifiers: list[Verifier] = []

    def verifier() -> Verifier:
        if not verifiers:
            host, port = admin()
            verifiers.append(Verifier(ISSUER, UPSTREAM, f"http://{host}:{port}/.well-known/jwks.json"))
        return verifiers[0]

    class Upstream(Echo):
        def document(self) -> dict[str, Any]:
            answer = super().document()
            assertion = self.headers.get(HEADER)
            if assertion is None:
                return answer
            try:
                return {**answer, "caller": structs.asdict(verifier().verify(assertion))}
            except AssertionRefused as refusal:
                self.status = 401
                return {"refused": str(refusal)}

    return Upstream
