"""Blocks of shared memory: found by name from any process, gone with their supervisor."""

import fcntl
import multiprocessing
import os
import pickle
from multiprocessing.queues import SimpleQueue  # noqa: TC003 - as plain as in any other test
from pathlib import Path

import pytest

from ztag_extauthz.stores.shared import SharedMemory, of_servers, shared_memory


def read(memory: SharedMemory, answer: "SimpleQueue[bytes]") -> None:
    block = memory("block", 16)
    answer.put(bytes(block))
    block[1] = 9


def test_another_process_sees_the_same_block(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    with shared_memory(tmp_path) as memory:
        block = memory("block", 16, b"abc")
        answer: SimpleQueue[bytes] = context.SimpleQueue()
        process = context.Process(target=read, args=(memory, answer))
        process.start()
        assert answer.get() == b"abc".ljust(16, b"\0")
        process.join()
        assert block[1] == 9


def test_the_first_to_come_fills_it(tmp_path: Path) -> None:
    with shared_memory(tmp_path) as memory:
        memory("block", 8, b"first")
        assert bytes(memory("block", 8, b"second")) == b"first\0\0\0"
        assert bytes(memory("block", 16, b"second"))[:6] == b"second", "another size is another block"


def test_it_ends_with_its_supervisor(tmp_path: Path) -> None:
    with shared_memory(tmp_path) as memory:
        assert memory.folder.stat().st_mode & 0o777 == 0o700
        assert pickle.loads(pickle.dumps(memory)) == memory  # noqa: S301 - our own
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_supervisor_left_is_removed_and_what_is_alive_stays(tmp_path: Path) -> None:
    dead, alive, strange = tmp_path / "ztag-dead", tmp_path / "ztag-alive", tmp_path / "other"
    for folder in (dead, alive, strange):
        folder.mkdir()
        (folder / "owner").touch()
        os.utime(folder, (1e9, 1e9))
    with (alive / "owner").open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        with shared_memory(tmp_path):
            assert not dead.exists()
            assert alive.exists()
            assert strange.exists()


def test_a_command_finds_the_servers_that_run_under_its_configuration(tmp_path: Path) -> None:
    mine, other = tmp_path / "ztag.yaml", tmp_path / "other.yaml"
    with shared_memory(tmp_path, mine) as first, shared_memory(tmp_path, mine) as second:
        with shared_memory(tmp_path, other), shared_memory(tmp_path):
            assert {memory.folder for memory in of_servers(mine, tmp_path)} == {first.folder, second.folder}
        # One that was killed holds no lock; one of somebody else is none of ours.
        (second.folder / "owner").rename(second.folder / "was")
        (second.folder / "owner").touch()
        assert of_servers(mine, tmp_path) == [first]
    assert of_servers(mine, tmp_path) == []


def test_who_locks_keeps_others_out(tmp_path: Path) -> None:
    with shared_memory(tmp_path) as memory:
        with memory.lock():
            other = (memory.folder / "lock").open()
            with pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        other.close()
