"""`python -m loadtest.risk.live`: credential stuffing among ordinary requests, through a real Envoy.

Users have a history of some weeks, replayed into a snapshot and a calibrated model that the server starts with. Then
their requests go on at a steady rate, each from the user's own address (ztag trusts two entries of
`x-forwarded-for`: the one that these clients send for a proxy, and Envoy's),
and somebody with many of their tokens comes from a few addresses of their own.
"""

import argparse
import asyncio
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from ztag_extauthz.authorization.risk import RiskSettings
from ztag_extauthz.authorization.risk.model import Model, write_model
from ztag_extauthz.authorization.risk.replay import Entry, calibrate, replay
from ztag_extauthz.authorization.risk.state import write_snapshot
from ztag_extauthz.component import Resources
from ztag_extauthz.demo.issuer import AUDIENCE
from ztag_extauthz.demo.processes import Ztag, folder_for
from ztag_extauthz.demo.stack import Plan, Stack, running
from ztag_extauthz.meter import CELLS, Meter
from ztag_extauthz.model import EMPTY, Identity, Peer, Request
from ztag_extauthz.stores.kernels import warm

USERS, STUFFERS = 4000, 4
DAY = 86_400.0
ALLOW_ALL = 'package live\n\nimport rego.v1\n\ndefault allow := false\n\nallow if input.identity.kind == "jwt"\n'


class Shot(Struct, frozen=True):
    """One request: who sent it, when, and the status."""

    attacker: int
    sent: float
    answered: float
    status: int


def main() -> None:
    """Start everything, and print what was denied."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=2000.0, help="benign requests a second")
    parser.add_argument("--attacks", type=float, default=50.0, help="bad requests a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    warm("ztag_extauthz.authorization.risk.kernel")  # on a cold cache a server would be waited for in vain
    with folder_for("live") as folder:
        (folder / "live.rego").write_text(ALLOW_ALL)
        risk: dict[str, Any] = {"kind": "risk", "elevated": "deny", "high": "deny", "model": str(folder / "model.json")}
        risk["trusted_proxies"] = 2
        risk["snapshot"] = str(folder / "snapshot")
        authorization = [risk, {"kind": "rego", "policies": [str(folder / "live.rego")], "decision": "live/allow"}]
        plan = Plan(settings={"authorization": authorization}, change_envoy=_answer_itself)
        write_model(folder / "model.json", Model(), {})
        with running(plan, lambda what: print(f"starting {what}")) as stack:
            # Its own snapshot at the end, of nobody, must not replace the one that is made here.
            stack.ztag.stop()
            _prepare(folder, stack.issuer.url, options.rate)
            tokens = [stack.issuer.token(_subject(user), kid="ec", aud=AUDIENCE) for user in range(USERS)]
            stack.ztag = Ztag(stack.config, stack.folder, name="ztag-again")
            _run(stack, tokens, options)


def _answer_itself(document: dict[str, Any]) -> None:
    manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    route = manager["route_config"]["virtual_hosts"][0]["routes"][0]
    del route["route"]
    route["direct_response"] = {"status": 200}


def _subject(user: int) -> str:
    return f"user{user}"


def _address(user: int) -> str:
    return f"10.{user >> 8}.{user & 255}.7"


def _agent(user: int) -> str:
    return f"Mozilla/5.0 (Windows NT 10.0) Chrome/{120 + user % 5} Safari/537.36"


def _prepare(folder: Path, issuer: str, rate: float) -> None:
    """Replay weeks of visits, and minutes at the live rate; fit the bands to the latter."""
    settings = RiskSettings.model_validate({"kind": "risk"})
    risk = settings.build(Resources(folder, time.time, Meter([0.0] * CELLS)))
    source, now = random.Random(1), time.time()  # noqa: S311 - which user is next
    visits = sorted((now - source.uniform(0.1, 20) * DAY, user) for user in range(USERS) for _ in range(15))
    steady = [(now - 120 + turn / rate, source.randrange(USERS)) for turn in range(int(rate * 120))]
    scored = list(replay((_entry(at, user, issuer, source) for at, user in [*visits, *steady]), risk.scorer, 0.5))
    model = calibrate(scored[-int(rate * 60) :], Model(), 0.0005, 0.0005)
    write_model(folder / "model.json", model, {})
    write_snapshot(folder / "snapshot", risk._state)
    print(f"history of {len(scored):,} requests; denied from {model.elevated:.5f}")


def _entry(at: float, user: int, issuer: str, source: random.Random) -> Entry:
    request = Request(
        id="",
        method="GET",
        scheme="http",
        host="shop.example",
        path=f"/orders/{source.randrange(100)}",
        protocol="HTTP/1.1",
        headers={"user-agent": _agent(user)},
        repeated=frozenset(),
        body=None,
        partial=False,
        source=Peer(_address(user)),
        destination=Peer(),
        context_extensions=EMPTY,
        is_http=True,
        defect="",
        attributes=lambda *_: {},
    )
    return Entry("", at, request, Identity(_subject(user), issuer, "jwt"), allowed=True, failed=False, attack=None)


def _run(stack: Stack, tokens: Sequence[str], options: argparse.Namespace) -> None:
    shots = asyncio.run(_load(stack.edge, tokens, options))
    benign = [shot for shot in shots if not shot.attacker]
    print(
        f"{len(benign) / options.seconds:,.0f} benign requests a second, {len(shots) - len(benign):,} bad ones in all"
    )
    print(f"  benign denied: {sum(shot.status == 403 for shot in benign) / len(benign):.3%}")
    print(f"  neither allowed nor denied: {sum(shot.status not in (200, 403) for shot in shots)}")
    for attacker in range(1, STUFFERS + 1):
        theirs = sorted((shot for shot in shots if shot.attacker == attacker), key=lambda shot: shot.sent)
        number = next((place for place, shot in enumerate(theirs, 1) if shot.status == 403), 0)
        denied = sum(shot.status == 403 for shot in theirs) / max(1, len(theirs))
        after = theirs[number - 1].answered - theirs[0].sent if number else float("inf")
        print(
            f"  attacker {attacker}: first denial at request {number}, after {after:.3f} s; {denied:.1%} denied in all"
        )


async def _load(edge: tuple[str, int], tokens: Sequence[str], options: argparse.Namespace) -> list[Shot]:
    shots: list[Shot] = []
    end = time.monotonic() + options.seconds
    lanes, bad_lanes = 40, STUFFERS
    work = [_lane(edge, tokens, 0, options.rate / lanes, end, shots) for _ in range(lanes)]
    work += [_lane(edge, tokens, lane + 1, options.attacks / bad_lanes, end, shots) for lane in range(bad_lanes)]
    await asyncio.gather(*work)
    return shots


async def _lane(
    edge: tuple[str, int], tokens: Sequence[str], attacker: int, rate: float, end: float, shots: list[Shot]
) -> None:
    """Send over one connection at a rate, late ones at once."""
    source = random.Random(attacker or id(shots) + len(shots))  # noqa: S311 - which user is next
    reader, writer = await asyncio.open_connection(*edge)
    await asyncio.sleep(source.random() / rate + (3.0 if attacker else 0.0))
    due = time.monotonic()
    while (sent := time.monotonic()) < end:
        user = source.randrange(USERS)
        address, agent = (
            (f"203.0.113.{attacker}", "python-requests/2.32") if attacker else (_address(user), _agent(user))
        )
        writer.write(
            f"GET /orders/{source.randrange(100)} HTTP/1.1\r\nhost: shop.example\r\nuser-agent: {agent}\r\n"
            f"x-forwarded-for: {address}\r\nauthorization: Bearer {tokens[user]}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        if length:
            await reader.readexactly(length)
        shots.append(Shot(attacker, sent, time.monotonic(), int(head[9:12])))
        due += source.expovariate(rate)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    writer.close()


if __name__ == "__main__":
    main()
