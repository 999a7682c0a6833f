"""Forged, confused, replayed and malformed tokens, proofs and events: all denied, and how long the slowest took."""

import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from loadtest.identity.costs import run
from tests.authentication.parts import FOREVER, KeyServer, jwk, key_set, request
from tests.authentication.proofs import bound, proof, shown
from tests.authentication.rig import Rig
from tests.authentication.test_dpop import BAD
from tests.authentication.test_jwt_attacks import FORGED, with_header
from tests.revocation.parts import receiver
from tests.revocation.test_receiver import REFUSED
from ztag_extauthz.model import Deny, Request
from ztag_extauthz.revocation.receiver import Refusal

Attack = tuple[str, Callable[[], Request]]
Try = tuple[str, Callable[[], Coroutine[Any, Any, object]]]


def attacks(url: str) -> Iterator[Attack]:
    """Yield every attack; `url` is an address that some of them name."""
    for number, forge in enumerate(FORGED):
        yield f"forged token {number}", lambda forge=forge: request(f"Bearer {forge()}")  # type: ignore[misc]
    for member in ("jku", "x5u", "kid"):
        yield f"{member} names an address", lambda member=member: request(f"Bearer {with_header(**{member: url})}")  # type: ignore[misc]
    for name, (make, _) in BAD.items():
        yield f"proof: {name}", lambda make=make: _with_proof(make)  # type: ignore[misc]
    yield "bound token without a proof", lambda: request(f"Bearer {bound()}")


def _with_proof(make: Callable[[str], str]) -> Request:
    text = bound()
    return shown(text, make(text))


def show(console: Console) -> None:
    with tempfile.TemporaryDirectory() as name, KeyServer().running() as server:
        server.serve("/mine", key_set(jwk("RS256", "-attacker", kid="RS256")))
        rig = Rig(Path(name), dpop={"algorithms": ["ES256", "EdDSA", "RS256"]})
        asked = [(what, make()) for what, make in attacks(f"{server.url}/mine")]
        text = bound()
        replay = shown(text, proof(text, jti="replayed"))
        run(rig.jwt.authenticate(replay, FOREVER))
        asked.append(("replayed proof", replay))
        tries: list[Try] = [(what, lambda one=one: rig.jwt.authenticate(one, FOREVER)) for what, one in asked]  # type: ignore[misc]
        events = receiver(Path(name))
        tries += [(f"event: {what}", lambda text=text: events.receive(text, "")) for what, (text, _) in REFUSED.items()]  # type: ignore[misc]
        let_in, took = [], []
        for what, attempt in tries:
            best = 1.0
            for _ in range(5):
                began = time.perf_counter()
                answer = run(attempt())
                best = min(best, time.perf_counter() - began)
                if not isinstance(answer, Deny | Refusal):
                    let_in.append(what)
            took.append((best * 1e3, what))
        slowest = max(took)
        console.print(
            f"attacks: {len(tries)}, let in: {len(let_in)} {let_in or ''}, slowest {slowest[0]:.2f} ms ({slowest[1]}), "
            f"requests to the address that tokens named: {len(server.asked)}"
        )


if __name__ == "__main__":
    show(Console(width=120))
