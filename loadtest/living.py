"""What recording, a shadow and decision logs cost those who wait: `python -m loadtest.living [--rounds 5]`.

The same server without and with each of them, asked in turn as in `loadtest.bench`; and what became of the samples.
"""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from loadtest.bench import ROOT, Own, Workload, ask_in_turn, show, workload
from loadtest.decision_logs import collecting
from ztag_extauthz.authorization.rego import RegoSettings
from ztag_extauthz.reporting.decision_log import DecisionLogSettings
from ztag_extauthz.reporting.recording import RecordSettings


def variants(load: Workload, collector: str) -> Iterator[tuple[str, Workload]]:
    """Yield the workload as it is, and with one thing more each."""
    policy = str(ROOT / "policy/envoy")
    shadowed = RegoSettings.model_validate({"kind": "rego", "policies": [policy], "shadow": {"policies": [policy]}})
    recording: dict[str, Any] = {"kind": "record", "to": "requests.jsonl"}
    log = DecisionLogSettings(kind="decision_log", url=collector, seconds=1.0)
    yield "full", load
    yield "full again", load
    yield "recording 1 %", _reporting(load, RecordSettings.model_validate(recording))
    yield "recording all", _reporting(load, RecordSettings.model_validate(recording | {"sample": 1.0}))
    yield "shadow", _changed(load, authorization=(shadowed,))
    yield "decision log", _reporting(load, log)


def _reporting(load: Workload, reporter: Any) -> Workload:
    return _changed(load, reporting=(*load.settings.reporting, reporter))


def _changed(load: Workload, **sections: Any) -> Workload:
    return Workload(load.settings.model_copy(update=sections), load.folder, load.messages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=10_000, help="requests a round and server")
    arguments = parser.parse_args()
    with workload() as load, collecting() as collector, ExitStack() as stack:
        targets = []
        for name, each in variants(load, collector.url):
            targets.append(Own(name, "h2corn", each))
            stack.callback(targets[-1].close)
        ask_in_turn(targets, arguments.rounds, arguments.requests)
        show(targets)
        asked = arguments.rounds * arguments.requests + arguments.requests // 4
        print(f"events uploaded: {len(collector.events.get('/logs', ())):,} of {asked:,}")


if __name__ == "__main__":
    main()
