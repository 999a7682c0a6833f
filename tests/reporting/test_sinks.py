import os
from multiprocessing import get_context
from pathlib import Path

import pytest

from ztag_extauthz.reporting.sinks import RotatingFile, StandardOutput


def line(text: str) -> bytes:
    return text.encode() + b"\n"


def test_writes_and_appends(tmp_path: Path) -> None:
    for text in ("a", "b"):
        sink = RotatingFile(tmp_path / "log", 1000, 1)
        sink.write([line(text), line(text)])
        sink.close()
    assert (tmp_path / "log").read_bytes() == b"a\na\nb\nb\n"


def test_others_cannot_read_the_file(tmp_path: Path) -> None:
    sink = RotatingFile(tmp_path / "log", 1000, 1)
    sink.open()
    sink.close()
    assert (tmp_path / "log").stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("backups", [0, 1, 3])
def test_rotates(tmp_path: Path, backups: int) -> None:
    sink = RotatingFile(tmp_path / "log", 10, backups)
    for number in range(10):
        sink.write([line(f"line {number}")])
    sink.close()
    kept = [f"line {number}\n" for number in range(9, 8 - backups, -1)]
    names = ["log", *(f"log.{number}" for number in range(1, backups + 1))]
    assert [(tmp_path / name).read_text() for name in names] == kept
    assert len(list(tmp_path.iterdir())) == backups + 1


def test_a_batch_larger_than_the_file_is_written_whole(tmp_path: Path) -> None:
    sink = RotatingFile(tmp_path / "log", 10, 2)
    sink.write([line("x" * 100)])
    sink.write([line("y")])
    sink.close()
    assert (tmp_path / "log.1").read_bytes() == line("x" * 100)
    assert (tmp_path / "log").read_bytes() == b"y\n"


def test_follows_a_file_that_somebody_else_moved(tmp_path: Path) -> None:
    sink = RotatingFile(tmp_path / "log", 1000, 1)
    sink.write([line("a")])
    (tmp_path / "log").rename(tmp_path / "moved")
    sink.write([line("b")])
    sink.close()
    assert (tmp_path / "moved").read_bytes() == b"a\n"
    assert (tmp_path / "log").read_bytes() == b"b\n"


def _write_many(path: str, name: str) -> None:
    sink = RotatingFile(Path(path), 2_000, 1000)
    for number in range(300):
        sink.write([line(f"{name} {number:04}")])
    sink.close()


def test_workers_rotate_one_file_together_and_lose_no_line(tmp_path: Path) -> None:
    context = get_context("spawn")
    workers = [context.Process(target=_write_many, args=(str(tmp_path / "log"), f"w{number}")) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    lines = [text for path in tmp_path.iterdir() for text in path.read_text().splitlines()]
    assert sorted(lines) == sorted(f"w{worker} {number:04}" for worker in range(3) for number in range(300))


def test_a_full_disk_is_an_error_and_leaves_at_most_one_torn_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = RotatingFile(tmp_path / "log", 10_000, 1)
    real, room = os.write, [5]

    def small_disk(descriptor: int, data: memoryview) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        size = min(room[0], len(data))
        room[0] -= size
        return real(descriptor, data[:size])

    monkeypatch.setattr(os, "write", small_disk)
    with pytest.raises(OSError, match="No space"):
        sink.write([line("aaaa"), line("bbbb")])
    room[0] = 3
    with pytest.raises(OSError, match="No space"):
        sink.write([line("cccc")])
    room[0] = 100
    sink.write([line("dddd")])
    sink.close()
    assert (tmp_path / "log").read_bytes() == b"aaaa\nccc\ndddd\n"


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, told in (("missing/log", "No such file"), (".", "Is a directory"), ("file/log", "directory")):
        sink = RotatingFile(tmp_path / path, 1000, 1)
        for step in (sink.check, sink.open):
            with pytest.raises(OSError, match=told):
                step()


def test_a_check_makes_and_changes_nothing(tmp_path: Path) -> None:
    RotatingFile(tmp_path / "log", 1000, 1).check()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "log").write_text("a\n")
    RotatingFile(tmp_path / "log", 1000, 1).check()
    assert (tmp_path / "log").read_text() == "a\n"


def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (tmp_path, os.W_OK))  # root may everywhere
    with pytest.raises(PermissionError):
        RotatingFile(tmp_path / "log", 1000, 1).check()


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    sink = StandardOutput()
    sink.write([line("a"), line("b")])
    sink.close()
    assert capfd.readouterr().out == "a\nb\n"
