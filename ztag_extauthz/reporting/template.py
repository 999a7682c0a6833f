"""The line of a decision that is made again: encoded once, with places for what is new each time.

New are the decision's id, the time, Envoy's name for the request, and how long the stages took.
"""

from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec.structs import replace

from ztag_extauthz.model import Decision
from ztag_extauthz.reporting.record import DecisionRecord, TimingsRecord, timings_of, to_json

_ID: Final = "00000000-0000-4000-8000-000000000000"
_NAME: Final = "0" * 20
_TIME: Final = datetime.fromtimestamp(0, UTC)
_ENCODER: Final = msgspec.json.Encoder()


class Template:
    """Makes lines out of one record."""

    def __init__(self, record: DecisionRecord) -> None:
        """Raise `ValueError` for a record whose line has other places."""
        request = replace(record.request, id=_NAME if record.request.id else "")
        line = to_json(replace(record, id=_ID, time=_TIME, request=request, timings=TimingsRecord()))
        # A text that a caller wrote has its quotes escaped, so none of these can stand in one.
        begin = _encoded({"id": _ID, "time": _TIME, "request": {"id": _NAME}})[:-3]
        if not record.request.id:
            begin = _encoded({"id": _ID, "time": _TIME})[:-1]
        before, timings, after = line.partition(b'"timings":{}')
        if not line.startswith(begin) or not timings:
            raise ValueError("the line does not begin as every line does")
        self._begin = b',"request":{"id":"' if record.request.id else b""
        self._middle = before[len(begin) :] + b'"timings":'
        self._end = after

    def line(self, decision: Decision, name: bytes) -> bytes:
        """Return the line of another decision, on a request that Envoy calls `name` (digits; b"" as in the record)."""
        time = _ENCODER.encode(datetime.fromtimestamp(decision.time, UTC))
        timings = _ENCODER.encode(timings_of(decision.timings))
        begin = b'{"id":"%b","time":%b%b%b' % (decision.id.encode(), time, self._begin, name)
        return begin + self._middle + timings + self._end


def _encoded(value: object) -> bytes:
    return msgspec.json.encode(value)
