"""What the demo's table says of the audit log."""

import json
from threading import Timer
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ztag_extauthz.demo import show

LINE = json.dumps({"id": "1", "outcome": "deny", "decidedBy": "rego", "reason": "policy"})


class Log:
    """The output of a process that is still writing."""

    def __init__(self, text: str) -> None:
        self.text = text

    def output(self) -> str:
        return self.text


def stack(log: Log) -> Any:
    return cast("Any", SimpleNamespace(ztag=log))


def test_waits_for_lines_that_are_not_yet_written() -> None:
    log = Log(LINE[:20])
    later = Timer(0.1, setattr, (log, "text", f"ready\n{LINE}\n"))
    later.start()
    audit = show._audit(stack(log), {"1"})
    later.join()
    assert show._written("1", audit) == "deny by rego: policy"


def test_tells_what_was_not_written_from_what_was_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "PATIENCE", 0.0)
    audit = show._audit(stack(Log(LINE)), {"1"})
    assert show._written("1", audit) == "(not written)"
    assert show._written("", audit) == "(Envoy answered without ztag)"
