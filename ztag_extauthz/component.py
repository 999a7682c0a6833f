"""What all parts that settings build have in common: they start, say whether they are ready, and close."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Protocol

from msgspec import Struct

from ztag_extauthz.meter import Meter


class Readiness(Struct, frozen=True):
    """Whether a component can do its work now, and if not, why."""

    component: str
    """What an operator calls it: `keys of https://issuer.example`, `policy envoy/authz/result` …"""
    ready: bool
    detail: str = ""
    updated_at: float = 0.0
    """Unix seconds of the last successful load; 0 if there was none."""


class Memory(Protocol):
    """Gives blocks of memory by name: the same one to all workers of a node, and again after a reload."""

    def __call__(self, name: str, size: int, initial: bytes = b"") -> memoryview:
        """Return the block: zeros after `initial` where it is new, else as the others left it."""


def private_memory(name: str, size: int, initial: bytes = b"") -> memoryview:  # noqa: ARG001 - Memory's form
    """Return a new block that nobody else sees: for commands and tests that serve nothing."""
    return memoryview(bytearray(initial.ljust(size, b"\0")))


class Resources(Struct, frozen=True):
    """What `build()` may use of the process it is built in."""

    folder: Path
    """What relative paths of the settings are relative to: the folder of the configuration file."""
    clock: Callable[[], float]
    """Unix seconds; tests pass their own."""
    meter: Meter
    memory: Memory = private_memory
    """What has to be exact over the workers of a node, or outlives a reload, is kept here."""


class Component:
    """A part that a worker builds from its settings. All methods have a default that does nothing."""

    kind: ClassVar[str]

    async def start(self) -> None:
        """Begin what runs in the background; called once in the worker's event loop, must not wait for a network."""

    async def close(self) -> None:
        """End what `start` began."""

    def release(self) -> list[Any]:
        """Let go of what is large, and return what is to be freed; called after `close`, by who asks no more."""
        return []

    def readiness(self) -> tuple[Readiness, ...]:
        """Return one entry for each thing that has to be there before requests can be answered."""
        return ()


async def cancelled(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel what runs beside a component, and wait until it has ended."""
    running = {task for task in tasks if task is not None}
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
