"""A log, scored again; and `ztag risk`."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ztag_extauthz.authorization.risk.model import Band, Model, read_model
from ztag_extauthz.authorization.risk.replay import calibrate, new_scorer, read, replay
from ztag_extauthz.cli import app


def record(number: int, time: float, *, attack: bool, source: random.Random) -> dict[str, Any]:
    user = source.randrange(60)
    return {
        "id": f"d{number}",
        "time": datetime.fromtimestamp(time, UTC).isoformat(),
        "request": {
            "id": f"r{number}",
            "method": "GET",
            "host": "shop.example",
            "path": f"/orders/{number}",
            "headers": {"user-agent": "curl/8" if attack else f"Firefox/{100 + user % 3}"},
            "sourceAddress": "203.0.113.9" if attack else f"10.0.{user}.1",
        },
        "identity": {"subject": f"user{user}", "issuer": "https://issuer.example", "kind": "jwt"},
        "outcome": "allow",
        **({"label": "attack"} if attack else {"label": "benign"} if number % 3 == 0 else {}),
    }


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty users at home for half a day, and thirty requests of one stranger as many of them."""
    source, time = random.Random(1), 1.8e9  # noqa: S311
    path = tmp_path_factory.mktemp("log") / "audit.log"
    lines = []
    for number in range(4000):
        time += source.expovariate(1 / 8)
        lines.append(json.dumps(record(number, time, attack=3000 < number <= 3030, source=source)))
    path.write_text("\n".join(lines))
    return path


def test_calibrated_bands_find_the_stranger(log: Path) -> None:
    entries = list(read(log.read_text().splitlines()))
    scored = list(replay(entries, new_scorer(Model()), 0.5))
    model = calibrate(scored[1900:], Model(), 0.01, 0.005)
    again = list(replay(entries, new_scorer(model), model.elevated))
    flagged = [one for one in again if one.assessment.band is not Band.LOW]
    attacks = [one for one in flagged if one.entry.attack]
    assert len(attacks) >= 28
    assert len(flagged) - len(attacks) <= 20


def test_labels_make_it_a_probability(log: Path) -> None:
    scored = list(replay(read(log.read_text().splitlines()), new_scorer(Model()), 0.5))
    labelled = [one for one in scored[2000:] if one.entry.attack is not None]
    model = calibrate(labelled, Model(), 0.02, 0.02)
    assert model.bias != Model().bias
    assert model.weights["address"] != Model().weights["address"]


def test_too_few_requests_are_refused(log: Path) -> None:
    scored = list(replay(read(log.read_text().splitlines()[:100]), new_scorer(Model()), 0.5))
    with pytest.raises(ValueError, match=r"100 benign requests are too few: a share of 0.10% takes 10000"):
        calibrate(scored, Model(), 0.005, 0.001)


def test_a_line_that_is_no_record_is_named() -> None:
    with pytest.raises(ValueError, match="line 2 is no record of the audit log"):
        list(read(["", '{"time": 1}']))


def test_the_commands(log: Path, tmp_path: Path) -> None:
    run, model = CliRunner().invoke, tmp_path / "model.json"
    made = run(app, ["risk", "calibrate", str(log), "--out", str(model), "--elevated", "0.01", "--high", "0.006"])
    assert made.exit_code == 0, made.output
    assert read_model(model).elevated > 0
    shown = run(app, ["risk", "replay", str(log), "--model", str(model), "--top", "3"])
    assert shown.exit_code == 0
    assert "4,000 requests: low" in shown.output
    assert shown.output.count("203.0.113.9") == 3
    assert "highest score over time" in shown.output
    told = run(app, ["risk", "explain", str(log), "--id", "r3010", "--model", str(model)])
    assert told.exit_code == 0
    assert "(before anything is known)" in told.output
    assert run(app, ["risk", "explain", str(log), "--id", "nobody"]).exit_code == 1
    assert run(app, ["risk", "replay", str(log), "--model", str(log)]).exit_code == 2
