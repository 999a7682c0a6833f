"""The line of a decision that is made again: encoded once, with places for what is new each time.

New are the decision's id, the time, and Envoy's name for the request. Stages took no time.
"""

from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec.structs import replace

from ztag_extauthz.reporting.record import DecisionRecord, TimingsRecord, to_json

_ID: Final = "00000000-0000-4000-8000-000000000000"
_NAME: Final = "0" * 20
_TIME: Final = datetime.fromtimestamp(0, UTC)
_ENCODER: Final = msgspec.json.Encoder()


class Template:
    """Makes lines out of one record."""

    def __init__(self, record: DecisionRecord) -> None:
        """Raise `ValueError` for a record whose line does not begin as every line does."""
        is_named = bool(record.request.id)
        request = replace(record.request, id=_NAME if is_named else "")
        line = to_json(replace(record, id=_ID, time=_TIME, request=request, timings=TimingsRecord()))
        first = {"id": _ID, "time": _TIME}
        begin = _ENCODER.encode({**first, "request": {"id": _NAME}})[:-3] if is_named else _ENCODER.encode(first)[:-1]
        if not line.startswith(begin):
            raise ValueError("the record's line has another form")
        self._between = b',"request":{"id":"' if is_named else b""
        self._end = line[len(begin) :]

    def line(self, decision_id: str, time: float, name: bytes) -> bytes:
        """Return the line of another decision; `time` in Unix seconds, `name` of digits, b"" if the record has none."""
        moment = _ENCODER.encode(datetime.fromtimestamp(time, UTC))
        begin = b'{"id":"%b","time":%b%b%b' % (decision_id.encode(), moment, self._between, name)
        return begin + self._end
