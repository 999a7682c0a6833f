"""What recording, a shadow and decision logs cost those who wait: `python -m loadtest.living [--rounds 5]`.

The same server without and with each of them, asked in turn as in `loadtest.bench`; and what became of the samples.
"""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from loadtest.bench import console
from loadtest.decision_logs import collecting
from loadtest.servers import Own, ask_in_turn, show
from loadtest.workload import ROOT, Workload, workload
from ztag_extauthz.authorization.rego import RegoSettings
from ztag_extauthz.reporting.decision_log import DecisionLogSettings
from ztag_extauthz.reporting.recording import RecordingSettings
from ztag_extauthz.settings import Settings


def variants(load: Workload, collector: str) -> Iterator[tuple[str, Settings]]:
    """Yield the workload as it is, and with one thing more each."""
    policy = str(ROOT / "policy/envoy")
    shadowed = RegoSettings.model_validate({"kind": "rego", "policies": [policy], "shadow": {"policies": [policy]}})
    recording: dict[str, Any] = {"kind": "recording", "to": "requests.jsonl"}
    log = DecisionLogSettings(kind="decision_log", url=collector, seconds=1.0)
    yield "full", load.settings
    yield "full again", load.settings
    yield "recording 1 %", _reporting(load, RecordingSettings.model_validate(recording))
    yield "recording all", _reporting(load, RecordingSettings.model_validate(recording | {"sample": 1.0}))
    yield "shadow", load.settings.model_copy(update={"authorization": (shadowed,)})
    yield "decision log", _reporting(load, log)


def _reporting(load: Workload, reporter: Any) -> Settings:
    return load.settings.model_copy(update={"reporting": (*load.settings.reporting, reporter)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=10_000, help="requests a round and server")
    arguments = parser.parse_args()
    with workload() as load, collecting() as collector, ExitStack() as stack:
        targets = []
        for name, settings in variants(load, collector.url):
            targets.append(Own(name, "h2corn", load, settings=settings))
            stack.callback(targets[-1].close)
        ask_in_turn(console, targets, arguments.rounds, arguments.requests)
        show(console, targets)
        asked = arguments.rounds * arguments.requests + arguments.requests // 4
        print(f"events uploaded: {len(collector.events.get('/logs', ())):,} of {asked:,}")


if __name__ == "__main__":
    main()
