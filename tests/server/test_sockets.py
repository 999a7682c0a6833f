import socket
from pathlib import Path

import pytest

from ztag_extauthz.server.sockets import AddressError, bind


def test_port_0_is_a_free_one_each() -> None:
    first, second = bind("127.0.0.1:0", handed_over=True), bind("127.0.0.1:0", handed_over=True)
    assert first.address.startswith("127.0.0.1:")
    assert first.address != second.address
    first.close()
    second.close()


def test_ipv6() -> None:
    bound = bind("[::1]:0", handed_over=True)
    assert bound.address.startswith("[::1]:")
    bound.close()


def test_a_port_in_use_is_named() -> None:
    first = bind("127.0.0.1:0", handed_over=True)
    with pytest.raises(AddressError, match=rf"{first.address}: Address already in use"):
        bind(first.address, handed_over=True)
    first.close()


def test_a_reserved_port_refuses_connections_until_somebody_listens() -> None:
    reserved = bind("127.0.0.1:0", handed_over=False)
    host, _, port = reserved.address.rpartition(":")
    with socket.socket() as client:
        assert client.connect_ex((host, int(port))) != 0
    reserved.close()


def test_a_stale_socket_is_removed_and_ours_goes_with_us(tmp_path: Path) -> None:
    path = tmp_path / "ztag.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    bound = bind(f"unix://{path}", handed_over=True)
    assert path.is_socket()
    bound.close()
    assert not path.exists()


def test_a_socket_that_somebody_listens_on_stays(tmp_path: Path) -> None:
    bound = bind(f"unix://{tmp_path}/ztag.sock", handed_over=True)
    with pytest.raises(AddressError, match="another process listens there"):
        bind(f"unix://{tmp_path}/ztag.sock", handed_over=True)
    bound.close()


def test_a_file_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    for handed_over in (True, False):
        with pytest.raises(AddressError, match="no socket"):
            bind(f"unix://{tmp_path}/precious", handed_over=handed_over)
    assert (tmp_path / "precious").read_text() == "data"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AddressError, match="No such file or directory"):
        bind(f"unix://{tmp_path}/no/ztag.sock", handed_over=True)
