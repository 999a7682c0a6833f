"""What every numba kernel stands on: how it is compiled, and the atomic operations on shared memory."""

import fcntl
import logging
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from time import time
from typing import IO, Any, TypeAlias, TypeVar

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, config
from numba.core.event import Event, Listener, install_listener
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

Cells: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
F = TypeVar("F", bound=Callable[..., Any])
LOG = logging.getLogger("ztag.kernels")

PREBUILT = Path(sys.prefix) / "share" / "ztag"
"""What an image brings compiled; as trustworthy as the code that is installed beside it."""
UNUSED = 30 * 86400.0
"""Seconds after which kernels that nobody has loaded are removed: those of versions that are gone."""


def kernel(*signatures: str | Signature) -> Callable[[F], F]:
    """Compile for these signatures now, or load what an earlier process compiled.

    Single-threaded, without bounds checks and exceptions: a kernel takes arrays and numbers, and cannot fail. The GIL
    stays held, since a kernel ends long before a thread could be woken.
    """
    compiled: Callable[[F], F] = njit([*signatures], cache=True, error_model="numpy", boundscheck=False)
    return compiled


def inlined(function: F) -> F:
    """Declare a part of a kernel: compiled with the kernels that call it."""
    part: F = njit(error_model="numpy")(function)
    return part


def warm(module: str) -> None:
    """Import a module of kernels: compile them, or load what another process compiled.

    One process at a time: processes that wrote numba's cache at once have crashed, so two servers or workers that start
    together on a cold cache wait for each other.
    """
    folder = Path(config.CACHE_DIR)
    with _lock(folder):
        _copy_prebuilt(folder)
        with install_listener("numba:compile", _Compiling()):
            import_module(module)
    _remove_unused(folder, time())


class _Compiling(Listener):  # type: ignore[misc]  # numba has no types
    """Hears of what is compiled; numba says nothing of what it loads."""

    def on_start(self, event: Event) -> None:  # noqa: ARG002 - numba's signature
        _tell_once()

    def on_end(self, event: Event) -> None:
        pass


@cache
def _tell_once() -> None:
    """As a warning, so that a command that keeps no log says it as well."""
    LOG.warning("compiling kernels, once for this version: up to a minute")


def _lock(folder: Path) -> IO[str]:
    """Wait for a folder's lock; what holds it is to be closed. Its time tells when the folder was used last."""
    while True:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileNotFoundError):
            lock = (folder / "lock").open("w")
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.fstat(lock.fileno()).st_nlink:
                return lock
            lock.close()  # of a folder that was removed meanwhile


def _remove_unused(used: Path, now: float) -> None:
    """Remove the folders beside this one from which nobody has loaded kernels for `UNUSED` seconds.

    Who runs has its kernels in memory, and makes its folder again should it need more of them.
    """
    for folder in used.parent.glob("kernels-*"):
        with suppress(OSError), (folder / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if folder != used and os.fstat(lock.fileno()).st_mtime < now - UNUSED:
                shutil.rmtree(folder.rename(folder.with_name(f".{folder.name}")))


def _copy_prebuilt(folder: Path) -> None:
    """Copy rather than use in place: numba looks into one folder only, and writes there what another CPU needs."""
    for made in (PREBUILT / folder.name).glob("*/"):
        if not (folder / made.name).exists():
            half = Path(shutil.copytree(made, folder / f".{made.name}", dirs_exist_ok=True))
            half.rename(folder / made.name)


def _cache_folder() -> Path:
    """Return a folder of our own for compiled kernels; numba's choice, beside the code, may be read-only or shared.

    What is loaded from it is code, so it must be nobody else's. It is named after all that kernels are made of: numba
    looks at the file of a kernel alone, not at those of its parts.
    """
    sources = sorted(path for glob in _SOURCES for path in _PACKAGE.glob(glob))
    made_of = blake2b(sys.version.encode() + b"".join(path.read_bytes() for path in sources), digest_size=8).hexdigest()
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    given = os.environ.get("NUMBA_CACHE_DIR")
    bases = (given,) if given else (f"{home}/ztag", f"/dev/shm/ztag-cache-{os.getuid()}")  # noqa: S108 - see `_is_ours`
    for base in bases:
        folder = Path(base) / f"kernels-{made_of}"
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if _is_ours(folder):
                return folder
    raise OSError(
        f"no folder for compiled kernels: make one of {', '.join(map(str, bases))} writable, or set NUMBA_CACHE_DIR"
    )


def _is_ours(folder: Path) -> bool:
    status = folder.stat()
    return status.st_uid == os.getuid() and not status.st_mode & 0o022 and os.access(folder, os.W_OK)


_PACKAGE = Path(__file__).parents[1]
_SOURCES = ("again.py", "envoy/fingerprint_kernel.py", "stores/**/*.py", "authorization/risk/*.py")
"""What kernels are made of."""
config.CACHE_DIR = str(_cache_folder())


def _address(context: Any, builder: Any, signature: Signature, arguments: Any) -> Any:
    array_type = signature.args[0]
    array = context.make_array(array_type)(context, builder, arguments[0])
    return cgutils.get_item_pointer(context, builder, array_type, array, [arguments[1]])


def _load(_: Any, array: Any, index: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Signature, arguments: Any) -> Any:
        return builder.load_atomic(_address(context, builder, signature, arguments), "acquire", 8)

    return types.int64(array, index), codegen


def _store(_: Any, array: Any, index: Any, _value: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Signature, arguments: Any) -> Any:
        builder.store_atomic(arguments[2], _address(context, builder, signature, arguments), "release", 8)
        return context.get_dummy_value()

    return types.void(array, index, types.int64), codegen


def _add(_: Any, array: Any, index: Any, _amount: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Signature, arguments: Any) -> Any:
        return builder.atomic_rmw("add", _address(context, builder, signature, arguments), arguments[2], "seq_cst")

    return types.int64(array, index, types.int64), codegen


def _swap(_: Any, array: Any, index: Any, _expected: Any, _desired: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Signature, arguments: Any) -> Any:
        pointer = _address(context, builder, signature, arguments)
        result = builder.cmpxchg(pointer, arguments[2], arguments[3], "seq_cst", "monotonic")
        return builder.extract_value(result, 1)

    return types.boolean(array, index, types.int64, types.int64), codegen


def _prefetch(_: Any, array: Any, index: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Signature, arguments: Any) -> Any:
        pointer = builder.bitcast(_address(context, builder, signature, arguments), ir.IntType(8).as_pointer())
        kinds = [ir.Constant(ir.IntType(32), value) for value in (1, 3, 1)]  # for writing, to every level, of data
        form = ir.FunctionType(ir.VoidType(), [pointer.type, *(kind.type for kind in kinds)])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], form)
        builder.call(fetch, [pointer, *kinds])
        return context.get_dummy_value()

    return types.void(array, index), codegen


load: Callable[[Cells, int], int] = intrinsic(_load)
"""Read an int64 that other processes write."""
store: Callable[[Cells, int, int], None] = intrinsic(_store)
"""Write an int64 that other processes read."""
add: Callable[[Cells, int, int], int] = intrinsic(_add)
"""Add to an int64 and return what it was before."""
swap: Callable[[Cells, int, int, int], bool] = intrinsic(_swap)
"""Write the last argument if the int64 still is the one before it; return whether it was."""
prefetch: Callable[[Any, int], None] = intrinsic(_prefetch)
"""Begin to fetch the cache line of a number: misses that overlap cost as much as one."""
