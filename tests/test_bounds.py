"""Requests that are made to cost: algorithmic denial of service."""

import json
from typing import Any

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest

from tests.envoy.checks import check, listed
from tests.test_security import body, decide


def _huge() -> list[Any]:
    deep = "[" * 200_000
    return [
        body(deep),
        body("[" + ",".join(["1"] * 200_000)),
        body("9" * 1_000_000),
        body(json.dumps({"a": "\\u0000" * 100_000})),
        check("/public?" + "&".join(f"a{number}=1" for number in range(100_000))),
        check("/public/" + "a/" * 200_000),
        check("/public/" + "%2e" * 200_000),
        check("/public/" + "%C3%A9" * 100_000),
        check("/public", headers={"x-a": "a" * 1_000_000}),
        check("/public", headers={f"x-{number}": "a" for number in range(10_000)}),
        listed([("x-a", b"a")] * 10_000, "/public"),
        check("/orders", headers={"content-type": "multipart/form-data; boundary=b"}, body="--b\r\n\r\n" * 100_000),
        check("/orders", headers={"content-type": "multipart/form-data" + "; a=b" * 100_000}, body="x"),
        check(
            "/orders",
            headers={"content-type": "multipart/form-data; boundary=b"},
            body="--b\r\n" + "a: b\r\n" * 100_000,
        ),
    ]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("message", _huge(), ids=lambda _: "")
def test_s34_work_is_bounded(message: CheckRequest) -> None:
    """Each takes a fraction of a second; something quadratic runs into the limit."""
    decide(message)
