"""Notes that go with an answer come back with the request's entry in Envoy's access log."""

from collections.abc import Mapping
from contextlib import suppress

import pytest
from envoy.service.accesslog.v3.als_pb2 import StreamAccessLogsMessage
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.envoy.checks import check, decided, request
from ztag_extauthz.envoy import Encoder, endings
from ztag_extauthz.errors import MessageError
from ztag_extauthz.model import EMPTY, Allow, Ended
from ztag_extauthz.settings import ResponseSettings

FILTER = "envoy.filters.http.ext_authz"
ALLOWED = Allow()


def answered(allow: Allow = ALLOWED, notes: Mapping[str, str] = EMPTY) -> bytes:
    """Return the encoded answer."""
    return Encoder(ResponseSettings()).encode(request(check()), replace(decided(allow), notes=notes))


def logged(answer: bytes, *statuses: int, intermediate: bool = False) -> bytes:
    """Return what Envoy tells of requests that got this answer."""
    message = StreamAccessLogsMessage()
    for status in statuses:
        entry = message.http_logs.log_entry.add()
        entry.response.response_code.value = status
        entry.common_properties.intermediate_log_entry = intermediate
        entry.common_properties.metadata.filter_metadata[FILTER].CopyFrom(
            CheckResponse.FromString(answer).dynamic_metadata
        )
    return bytes(message.SerializeToString())


def test_a_note_comes_back_with_the_status() -> None:
    answer = answered(notes={"risk": "abc"})
    assert list(endings(logged(answer, 200, 403))) == [Ended("risk", "abc", 200), Ended("risk", "abc", 403)]


def test_nothing_is_heard_of_requests_without_a_note_or_that_go_on() -> None:
    assert list(endings(logged(answered(), 200))) == []
    answer = answered(notes={"risk": "abc"})
    assert list(endings(logged(answer, 200, intermediate=True))) == []
    assert list(endings(b"")) == []


def test_a_policy_can_write_no_note() -> None:
    answer = answered(Allow(metadata={"ztag.risk": "forged", "fine": 1}), {"quota": "own"})
    assert list(endings(logged(answer, 200))) == [Ended("quota", "own", 200)]
    assert CheckResponse.FromString(answer).dynamic_metadata["fine"] == 1


@given(st.binary(max_size=200))
def test_whatever_is_sent_is_a_log_or_said_to_be_none(message: bytes) -> None:
    with suppress(MessageError):
        assert all(isinstance(ended, Ended) for ended in endings(message))


def test_a_message_that_was_cut_is_none() -> None:
    answer = answered(notes={"risk": "abc"})
    with pytest.raises(MessageError):
        list(endings(logged(answer, 200)[:-1]))
