"""Compiled kernels: kept in a folder of our own, and compiled by one process at a time."""

import os
import subprocess
import sys
import time
from pathlib import Path

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
