"""Answers as bytes: what cannot be read is no answer, whoever wrote it."""

import pytest

from ztag_extauthz.authorization.cache.encoding import Answer, decode, encode
from ztag_extauthz.model import Allow, Deny, Reason

ALLOWED = Answer(Allow(request_headers=(("x-user", "ann"),)), 1.0, 2.0)
WRITTEN = encode(ALLOWED) or b""


@pytest.mark.parametrize("answer", [ALLOWED, Answer(Deny(Reason.POLICY, "no", status=403), 1.0, 2.0)])
def test_what_was_written_is_read(answer: Answer) -> None:
    assert decode(encode(answer) or b"") == answer


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"A",
        b"X" + WRITTEN[1:],
        b"D" + WRITTEN[1:],
        WRITTEN[:-1],
        WRITTEN.replace(b"ann", b"\xff\xff\xff"),
        b"A" + b"\x91" * 5000,
        WRITTEN.replace(b"\x80", b"\x81\xa1a" + b"\x91" * 5000 + b"\xc0"),
    ],
)
def test_what_cannot_be_read_is_no_answer(content: bytes) -> None:
    assert decode(content) is None
