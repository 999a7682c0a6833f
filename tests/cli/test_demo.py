"""`ztag demo`: the whole table through a real Envoy, and nothing left behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ztag_extauthz.demo import cases, show
from ztag_extauthz.demo.client import Ask
from ztag_extauthz.demo.processes import Process

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("demo")]


def test_every_row_is_as_expected(capsys: pytest.CaptureFixture[str]) -> None:
    assert show.run(keep=False) == 0
    printed = capsys.readouterr().out
    match = re.search(r"(\d+) of (\d+) as expected", printed)
    assert match is not None
    assert match[1] == match[2]
    assert int(match[1]) >= 15
    assert "x-ztag-subject: ann" in printed


def test_a_row_that_differs_is_counted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def one(*_: object) -> list[cases.Case]:
        return [cases.Case("wrong", Ask(path="/health"), 418, "a teapot is expected")]

    monkeypatch.setattr(show, "cases", one)
    assert show.run(keep=False) == 1
    assert "0 of 1 as expected" in capsys.readouterr().out


def test_it_can_be_left_running_and_ends_at_a_signal() -> None:
    command = [sys.executable, "-u", "-m", "ztag_extauthz", "demo", "--keep"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:  # noqa: S603 - our own
        assert demo.stdout is not None
        printed = ""
        while "ztag's configuration and log" not in printed:
            line = demo.stdout.readline()
            assert line, printed
            printed += line
        assert "curl -i http://127.0.0.1:" in printed
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(30) == 0


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, os\n"
        "from ztag_extauthz.demo.processes import Process\n"
        "child = Process('sleeper', ['/bin/sleep', '600'], pathlib.Path(sys.argv[1]))\n"
        "child.wait_until(lambda: 'sleep' in pathlib.Path(f'/proc/{child.pid}/comm').read_text(), 'becoming')\n"
        "print(child.pid, flush=True)\n"
        "os._exit(0)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    pid = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)  # noqa: S603 - our own
    deadline = time.monotonic() + 20
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _runs(pid)


def test_what_a_process_said_last_is_told_where_it_ends(tmp_path: Path) -> None:
    process = Process("failing", ["/bin/sh", "-c", "echo no such luck; exit 3"], tmp_path)
    with pytest.raises(Exception, match=r"(?s)failing ended with 3.*no such luck"):
        process.wait_until(lambda: False, "succeeding")
    process.stop()


def test_a_process_that_takes_too_long_is_ended_and_the_remedy_is_named(tmp_path: Path) -> None:
    process = Process("slow", ["/bin/sleep", "600"], tmp_path)
    with pytest.raises(
        Exception, match=r"slow: succeeding took more than 0 s \(run it again: what is compiled is kept"
    ):
        process.wait_until(lambda: False, "succeeding", seconds=0.0)
    assert process.code is not None


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
