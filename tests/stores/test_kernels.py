"""Compiled kernels: kept in a folder of our own, and compiled by one process at a time."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ztag_extauthz.stores import kernels

WARM = "from ztag_extauthz.stores.kernels import warm; warm('ztag_extauthz.stores.limits.table')"


def start(cache: Path) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    return subprocess.Popen([sys.executable, "-c", WARM], env=environment)  # noqa: S603 - our own command


def test_two_that_start_at_once_on_a_cold_cache_do_not_crash(tmp_path: Path) -> None:
    assert [process.wait(100) for process in [start(tmp_path) for _ in range(3)]] == [0, 0, 0]
    (folder,) = (tmp_path / "ztag").glob("kernels-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.nbc")}
    assert before
    time.sleep(0.01)
    assert start(tmp_path).wait(100) == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.nbc")} == before, "nothing is compiled again"


def test_only_who_compiles_says_so_and_says_it_once(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-c", WARM]
    first, second = (
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stderr  # noqa: S603
        for _ in range(2)
    )
    assert first == "compiling kernels, once for this version: up to a minute\n"
    assert second == ""


def test_a_folder_that_others_can_write_is_not_used(tmp_path: Path) -> None:
    """What is loaded from it is code."""
    assert start(tmp_path).wait(100) == 0
    (folder,) = (tmp_path / "ztag").glob("kernels-*")
    folder.chmod(0o777)
    code = f"from ztag_extauthz.stores import kernels; raise SystemExit(kernels.config.CACHE_DIR == {str(folder)!r})"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0  # noqa: S603


def test_what_an_image_brought_is_not_compiled_again(tmp_path: Path) -> None:
    made, home = tmp_path / "made", tmp_path / "home"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(made)}
    assert subprocess.run([sys.executable, "-c", WARM], env=environment, check=False).returncode == 0  # noqa: S603
    code = f"import pathlib, ztag_extauthz.stores.kernels as k; k.PREBUILT = pathlib.Path({str(made)!r}); {WARM}"
    environment = {**os.environ, "XDG_CACHE_HOME": str(home)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0  # noqa: S603
    brought, used = ({path.name: path.stat().st_mtime_ns for path in each.rglob("*.nb?")} for each in (made, home))
    assert brought
    assert used == brought


def test_what_nobody_has_loaded_for_a_month_is_removed(tmp_path: Path) -> None:
    now = time.time()
    for name, age in (("mine", 99), ("unused", 31), ("recent", 29), ("held", 31), ("half-made", 31)):
        folder = tmp_path / f"kernels-{name}"
        (folder / "limits").mkdir(parents=True)
        if name != "half-made":
            (folder / "lock").touch()
            os.utime(folder / "lock", (now - age * 86400,) * 2)
    (tmp_path / "other").mkdir()
    with (tmp_path / "kernels-held" / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        kernels._remove_unused(tmp_path / "kernels-mine", now)
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {"kernels-mine", "kernels-recent", "kernels-held", "kernels-half-made", "other"}


def test_loading_kernels_counts_as_use(tmp_path: Path) -> None:
    folder = tmp_path / "kernels-1"
    kernels._lock(folder).close()
    os.utime(folder / "lock", (0, 0))
    kernels._lock(folder).close()
    kernels._remove_unused(tmp_path / "kernels-2", time.time())
    assert folder.is_dir()


def test_who_waits_for_a_folder_that_is_removed_makes_it_again(tmp_path: Path) -> None:
    folder = tmp_path / "ztag" / "kernels-1"
    with ThreadPoolExecutor(1) as pool:
        with kernels._lock(folder):
            waiting = pool.submit(kernels._lock, folder)
            shutil.rmtree(folder.rename(tmp_path / "gone"))
        with waiting.result(60) as lock:
            assert os.path.samestat(os.fstat(lock.fileno()), (folder / "lock").stat())
