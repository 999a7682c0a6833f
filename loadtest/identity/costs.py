"""What a credential costs: remembered, seen for the first time, and what OpenSSL alone takes for it, in one run."""

import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from statistics import median
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from rich.console import Console
from rich.table import Table

from tests.authentication.parts import FOREVER, private_key, request, token
from tests.authentication.proofs import bound, proof, shown
from tests.authentication.rig import Rig
from tests.authentication.test_api_key import Rig as KeyRig
from ztag_extauthz.authentication.jose.compact import parse
from ztag_extauthz.authentication.token_memory import TokenMemory
from ztag_extauthz.model import Deny, Identity

RUNS = 15


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits, without an event loop's share."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("it waited")


def interleaved(works: dict[str, Callable[[], object]], loops: int) -> dict[str, list[float]]:
    """Return the µs of one call of each, run after run, all of them within each run."""
    costs: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(RUNS):
        for name, work in works.items():
            began = time.perf_counter()
            for _ in range(loops):
                work()
            costs[name].append((time.perf_counter() - began) / loops * 1e6)
    return costs


def raw(algorithm: str, text: str) -> Callable[[], object]:
    """Return what OpenSSL alone does for a token."""
    parts = parse(text)
    key = private_key(algorithm, "").public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return lambda: key.verify(parts.signature, parts.signed, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePublicKey):
        r, s = (int.from_bytes(half) for half in (parts.signature[:32], parts.signature[32:]))
        return lambda: key.verify(encode_dss_signature(r, s), parts.signed, ec.ECDSA(hashes.SHA256()))
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise TypeError("no raw call for this key")
    return lambda: key.verify(parts.signature, parts.signed)


def first_time(rig: Rig, text: str) -> Callable[[], object]:
    asked = request(f"Bearer {text}")

    def verify() -> None:
        rig.jwt.memory = TokenMemory(2)
        if not isinstance(run(rig.jwt.authenticate(asked, FOREVER)), Identity):
            raise TypeError("the token was refused")

    return verify


def remembered(folder: Path) -> dict[str, Callable[[], object]]:
    rig, keys = Rig(folder), KeyRig(folder)
    asked = request(f"Bearer {token()}")
    key = request(x_api_key=keys.add())
    kind = keys.build()
    run(rig.jwt.authenticate(asked, FOREVER))
    return {
        "remembered token": lambda: run(rig.jwt.authenticate(asked, FOREVER)),
        "API key": lambda: run(kind.authenticate(key, FOREVER)),
    }


def with_proof(folder: Path) -> Callable[[], object]:
    """Return one DPoP request, each with another proof, of a token that is remembered."""
    rig = Rig(folder, dpop={"max_remembered": 10_000_000})
    text = bound()
    proofs = iter([shown(text, proof(text, jti=str(number))) for number in range(RUNS * 100)])

    def ask() -> None:
        found = run(rig.jwt.authenticate(next(proofs), FOREVER))
        if isinstance(found, Deny):
            raise TypeError(found.detail)

    return ask


def show(console: Console) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = Table("credential", "best µs", "median µs", "raw OpenSSL µs", "ratio", title="What a credential costs")
        for what, costs in interleaved(remembered(folder), 5000).items():
            table.add_row(what, f"{min(costs):.2f}", f"{median(costs):.2f}", "", "")
            if what == "remembered token":
                rate = f"{1e6 / min(costs):,.0f}"
        rig = Rig(folder)
        for algorithm in ("RS256", "ES256", "EdDSA"):
            text = token(algorithm)
            works = {"first": first_time(rig, text), "raw": raw(algorithm, text)}
            first, bare = interleaved(works, 300).values()
            ratio = median(mine / its for mine, its in zip(first, bare, strict=True))
            figures = (min(first), median(first), min(bare))
            table.add_row(f"first verification, {algorithm}", *(f"{one:.1f}" for one in figures), f"{ratio:.2f}")
        (proofs,) = interleaved({"dpop": with_proof(folder)}, 100).values()
        table.add_row("DPoP proof (ES256), token remembered", f"{min(proofs):.1f}", f"{median(proofs):.1f}", "", "")
        console.print(table)
        console.print(f"remembered validations a second on one core, in process: {rate}")
