"""What this engine does differently, so that nobody is surprised; the body for both is in `test_engine.py`."""

from tests.server.client import RawClient
from tests.server.parts import running
from ztag_extauthz.server.framing import frame


def test_the_content_type_is_not_looked_at() -> None:
    with running("grpcio") as server, RawClient(server.address) as client:
        assert client.call(frame(b"one"), content_type="application/json").status == 0


def test_two_servers_share_no_port_that_the_supervisor_did_not_reserve() -> None:
    with running("grpcio") as first, running("grpcio") as second:
        assert first.address != second.address
