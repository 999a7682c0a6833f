"""A candidate is asked beside the policy in force; what it says is counted and told, and changes nothing."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.authorization.parts import FAR
from tests.envoy.checks import ALICE, check, decided, request
from ztag_extauthz.authorization.rego import Rego, RegoSettings
from ztag_extauthz.authorization.shadow.comparison import difference
from ztag_extauthz.component import Resources
from ztag_extauthz.errors import EvaluationError, PolicyError
from ztag_extauthz.meter import CELLS, SERIES, Meter
from ztag_extauthz.model import Allow, Context, Deny, Failed, Reason, Request, Verdict

IN_FORCE = """package envoy.authz

default result := false

result if input.parsed_path[0] == "public"

result := {"allowed": true, "headers": {"x-user": "a"}} if input.parsed_path[0] == "headers"

result := null if input.parsed_path[0] == "broken"
"""
CANDIDATE = IN_FORCE.replace('"public"', '"private"').replace('"a"', '"b"').replace("null", "false")
SLOW = """package envoy.authz

result if count([1 | some a in n; some b in n; some c in n; a + b + c < 0]) > 0

n := numbers.range(1, 9000)
"""


class Rig:
    def __init__(self, folder: Path, candidate: str = CANDIDATE, **options: Any) -> None:
        (folder / "policy.rego").write_text(IN_FORCE)
        (folder / "candidate.rego").write_text(candidate)
        settings = RegoSettings.model_validate(
            {"kind": "rego", "policies": ["policy.rego"], "shadow": {"policies": ["candidate.rego"], **options}}
        )
        self.cells = [0.0] * CELLS
        self.rego: Rego = settings.build(Resources(folder, lambda: 0.0, Meter(self.cells)))

    def counts(self) -> Mapping[str, float]:
        found = {labels[0]: self.cells[cell] for (name, labels), cell in SERIES.items() if name == "ztag_shadow"}
        return {kind: count for kind, count in found.items() if count}

    async def ask(self, path: str) -> Verdict:
        asked = request(check(path))
        try:
            return await self.rego.authorize(Context(asked, ALICE), FAR)
        finally:
            self.rego.learn(asked, decided(Allow()))

    async def counted(self, total: int) -> None:
        async with asyncio.timeout(60):
            while sum(self.counts().values()) < total:  # noqa: ASYNC110 - it happens in a thread
                await asyncio.sleep(0.005)


def test_differences_are_counted_by_kind_and_told_with_the_decision(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ztag.shadow")

    async def main() -> None:
        rig = Rig(tmp_path)
        await rig.rego.start()
        try:
            assert isinstance(await rig.ask("/public"), Allow)
            assert isinstance(await rig.ask("/private"), Deny)
            assert await rig.ask("/other") == await rig.ask("/other")
            found = await rig.ask("/headers")
            assert isinstance(found, Allow)
            assert found.request_headers == (("x-user", "a"),)
            with pytest.raises(EvaluationError):
                await rig.ask("/broken")
            await rig.counted(6)
        finally:
            await rig.rego.close()
        assert rig.counts() == {"would_deny": 2, "would_allow": 1, "same": 2, "other_answer": 1}

    asyncio.run(main())
    assert "shadow of envoy/authz/result: would allow (decision 0d9c7f3e-" in caplog.text


def test_a_slow_candidate_delays_nobody_and_ends(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path, SLOW, max_waiting=2)
        await rig.rego.start()
        try:
            answers = [await rig.ask("/public") for _ in range(50)]
            assert all(isinstance(answer, Allow) for answer in answers)
            assert rig.counts()["skipped"] >= 40
        finally:
            await rig.rego.close()

    asyncio.run(main())


def test_a_process_that_ends_is_started_again(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path)
        await rig.rego.start()
        try:
            await rig.ask("/other")
            await rig.counted(1)
            process = rig.rego._shadow._engine._process  # type: ignore[attr-defined]
            process.kill()
            process.wait()
            await rig.ask("/other")
            await rig.counted(2)
            await rig.ask("/other")
            await rig.counted(3)
        finally:
            await rig.rego.close()
        assert rig.counts() == {"same": 2, "failed": 1}

    asyncio.run(main())


def test_a_sample_is_taken(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path, sample=1e-9)
        for _ in range(20):
            await rig.rego.authorize(Context(request(check("/public")), ALICE), FAR)
        assert not rig.rego._shadow._asked  # type: ignore[attr-defined]
        assert not rig.counts()
        await rig.rego.close()

    asyncio.run(main())


def test_a_candidate_that_cannot_be_loaded_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"^shadow\.policies: candidate\.rego:"):
        Rig(tmp_path, "package envoy.authz\nresult := {")
    with pytest.raises(PolicyError, match=r"^shadow\.decision: no rule defines"):
        Rig(tmp_path, decision="envoy/authz/none")


DENY = Deny(Reason.POLICY)


@pytest.mark.parametrize(
    ("answer", "candidates", "kind"),
    [
        (Allow(), Allow(policy_revision="2"), "same"),
        (Allow(), DENY, "would_deny"),
        (DENY, Allow(), "would_allow"),
        (DENY, DENY, "same"),
        (DENY, Deny(Reason.POLICY, status=401), "other_answer"),
        (Allow(), Allow(request_headers=(("a", "b"),)), "other_answer"),
        (Allow(), Failed(Reason.EVALUATION), "failed"),
        (Failed(Reason.EVALUATION), Failed(Reason.DEADLINE), "same"),
        (Failed(Reason.EVALUATION), Allow(), "would_allow"),
        (Allow(shadowed=DENY), DENY, "same"),
        (Allow(shadowed=DENY), Allow(), "would_allow"),
    ],
)
def test_kinds_of_difference(answer: Any, candidates: Any, kind: str) -> None:
    assert difference(answer, candidates) == kind


def test_requests_that_were_never_answered_do_not_pile_up(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path, max_waiting=3)
        kept: list[Request] = []
        for _ in range(10):
            kept.append(request(check("/public")))
            await rig.rego.authorize(Context(kept[-1], ALICE), FAR)
        assert len(rig.rego._shadow._asked) <= 3  # type: ignore[attr-defined]
        await rig.rego.close()

    asyncio.run(main())
