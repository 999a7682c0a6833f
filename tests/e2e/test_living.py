"""Recording, a shadow and decision logs in a whole server: what they keep, and that nothing of them is left behind."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

from tests.reporting.test_collector import listening
from tests.server.process import Ztag, serving, until, write_policy
from ztag_extauthz.cli.recorded import load, policies, replay

DENIES = 'package envoy.authz\n\ndefault result := true\n\nresult := false if input.parsed_path[0] == "a"\n'


def children(name: str, parents: set[int]) -> set[int]:
    """Return the processes with a word in their command line whose parent is one of these."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in parents and name in (folder / "cmdline").read_text():
                found.add(int(folder.name))
    return found


def shadows(ztag: Ztag) -> set[int]:
    return children("shadow.process", set(ztag.workers()))


def gone(process: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def test_a_server_records_compares_and_logs(tmp_path: Path) -> None:
    write_policy(tmp_path, "1")
    (tmp_path / "candidate.rego").write_text(DENIES)
    rego = {"kind": "rego", "policies": ["policy.rego"], "shadow": {"policies": ["candidate.rego"]}}
    with listening() as collector:
        logs = [
            {"kind": "recording", "to": "requests.jsonl", "sample": 1.0},
            {"kind": "decision_log", "url": collector.url, "seconds": 0.05},
        ]
        with serving(tmp_path, authorization=[rego], reporting=logs, server={"workers": 2}) as ztag:
            for number in range(6):
                ztag.check(f"/{'ab'[number % 2]}", worker=number % 2)
            until(lambda: ztag.metric("ztag_shadow_total") >= 6)
            assert ztag.metric('ztag_shadow_total{result="would_deny"}') == 3
            assert ztag.metric('ztag_shadow_total{result="other_answer"}') == 3
            assert "would deny (decision " in ztag.log
            until(lambda: sum(len(upload) for _, _, upload in collector.uploads) == 6)
            until(lambda: len((tmp_path / "requests.jsonl").read_bytes().splitlines()) == 6)
            processes = shadows(ztag)
            assert len(processes) == 2
            victim = min(ztag.workers())
            mine = children("shadow.process", {victim})
            os.kill(victim, signal.SIGKILL)
            until(lambda: all(map(gone, mine)))
            until(lambda: ztag.get("/readyz")[0] == 200)
            ztag.signal(signal.SIGTERM)
            assert ztag.wait() == 0
            until(lambda: all(map(gone, processes)))
        events = [event for _, _, upload in collector.uploads for event in upload]
    recording = load(str(tmp_path / "requests.jsonl"), None)
    assert len(recording) == 6
    assert {event["decision_id"] for event in events} == {each.id for each in recording}
    assert {event["path"] for event in events} == {"envoy/authz/result"}
    candidate = policies(tmp_path / "ztag.yaml", [str(tmp_path / "candidate.rego")], "envoy/authz/result")
    changes = replay(recording, candidate)
    assert sorted((change.path, change.after) for change in changes) == [*[("/a", "deny")] * 3, *[("/b", "allow")] * 3]
    assert "authorization" not in json.dumps([each.request for each in recording])
