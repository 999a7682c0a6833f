"""`ztag revoke`: what it writes down for all replicas."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.stores.conftest import redis_server
from ztag_extauthz.cli import app
from ztag_extauthz.revocation.entries import Revocation
from ztag_extauthz.revocation.journal import journal
from ztag_extauthz.settings import load

CONFIG = """
authentication: [{kind: anonymous}]
authorization: [{kind: rego, policies: [policy.rego]}]
"""
ISSUER = "https://issuer.example"


def revoke(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["revoke", "--issuer", ISSUER, *arguments, "--config", str(config)])


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "ztag.yaml"
    with redis_server(tmp_path / "redis") as (port, _):
        path.write_text(f"{CONFIG}\nrevocation: {{redis: {{url: redis://127.0.0.1:{port}}}, secret: {'s' * 32}}}\n")
        yield path


async def written(config: Path) -> tuple[float, tuple[Revocation, ...]]:
    """Return Redis's time and what stands in the journal."""
    settings = load(config, {}).revocation
    assert settings is not None
    revocations = journal(settings, config.parent)
    try:
        return await revocations.time(), (await revocations.news()).entries
    finally:
        await revocations.close()


def test_now_is_what_redis_says_whatever_the_operators_clock_says(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, _ = asyncio.run(written(config))
    with monkeypatch.context() as slow:
        slow.setattr(time, "time", lambda: before - 3600)
        result = revoke(config, "--subject", "ann")
    after, (entry,) = asyncio.run(written(config))
    assert (result.exit_code, result.output) == (0, "revoked: subject ann\n")
    assert (entry.kind, entry.issuer, entry.value) == ("subject", ISSUER, "ann")
    assert before <= entry.before <= after


def test_an_instant_in_the_past_is_taken_as_it_is(config: Path) -> None:
    assert revoke(config, "--everything", "--before", "1700000000").exit_code == 0
    _, (entry,) = asyncio.run(written(config))
    assert (entry.kind, entry.before) == ("issuer", 1_700_000_000.0)


def test_what_names_nothing_is_refused(config: Path) -> None:
    result = revoke(config)
    assert result.exit_code == 2
    assert "name exactly one of" in result.output


def test_a_redis_that_refuses_is_named_with_the_cause_and_without_the_password(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ztag_extauthz.cli.common.TELLING", 0.0)
    text = config.read_text()
    config.write_text(text.replace("redis://", "redis://ztag:hidden@"))
    result = revoke(config, "--token", "1")
    assert result.exit_code == 2
    assert "redis at 127.0.0.1:" in result.output
    assert ": AuthenticationError: " in result.output
    assert "hidden" not in result.output


def test_where_nothing_can_be_revoked_it_says_so(tmp_path: Path) -> None:
    config = tmp_path / "ztag.yaml"
    config.write_text(CONFIG)
    result = revoke(config, "--token", "1")
    assert result.exit_code == 2
    assert "has no revocation" in result.output
