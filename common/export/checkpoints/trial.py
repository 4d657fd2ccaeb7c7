"""A file from a stranger is read by a process with limits before this one reads it.

A few bytes of a pickle can ask for any memory and time, or crash the interpreter. A server (this module, run
as a program) imports a reader once, and forks a process for each file, which takes milliseconds.
"""

import atexit
import gc
import json
import os
import resource
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from common.errors import MachineError, ModelError, PetctError
from common.memory import MIB

T = TypeVar("T")
STACK = MIB
"""Smaller than that of any thread that exports: what is nested too deep to be hashed ends there, not here."""
CALM_SECONDS = 10.0
SLOWEST_DISK = 5 * MIB
"""Bytes in a second; the time that a file may take without computing grows with its size."""


class Limits(NamedTuple):
    """What reading a file may take."""

    memory: int
    """Bytes, besides what the process has before it begins."""
    seconds: int
    """Of the processor."""


class _Server(NamedTuple):
    process: subprocess.Popen[bytes]
    connection: Connection

    def end(self) -> None:
        """Wait until it has noticed that no more requests come."""
        self.connection.close()
        self.process.wait()


def read_within(limits: Limits, read: Callable[[Path], T], path: Path) -> T:
    """What `read`, a function of a module, makes of the file at `path`, if a process with limits could do it.

    Raises `ModelError` with the other process's message where it failed, for a file that takes more than
    the limits or ends the process, and for a pipe or device; `MachineError` where no process can be had.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ModelError(f"{path}: a pipe or device, expected a file of the training folder")
    refusal = _refusal(limits, read, path)
    if refusal is None:
        raise ModelError(
            f"{path}: more than {limits.memory // MIB} MiB and {limits.seconds} s suffice to read; copy it "
            "again from the training, and do not open it with other tools"
        )
    if refusal:
        raise ModelError(refusal)
    return read(path)


def _refusal(limits: Limits, read: Callable[[Path], object], path: Path) -> str | None:
    """The other process's message, empty if it could read the file; `None` if it came to no end."""
    request = [read.__module__, read.__qualname__, os.fspath(path), *limits]
    server = _server()
    try:
        server.connection.send_bytes(json.dumps(request).encode())
        refusal: str | None = json.loads(server.connection.recv_bytes())
    except (OSError, EOFError) as error:
        _server.cache_clear()
        raise MachineError(
            f"{path}: the process that reads checkpoints first has ended; use a machine with more memory"
        ) from error
    return refusal


@cache
def _server() -> _Server:
    ours, theirs = Pipe()
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # a process of one thread may fork
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, str(theirs.fileno())],
        env=os.environ | threads | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
    )
    theirs.close()
    server = _Server(process, ours)
    atexit.register(server.end)
    return server


def _serve(requests: Connection) -> None:
    """Answer each request, the arguments of `_try`, by the message or null, until no more can come."""
    with suppress(EOFError):
        while True:
            module, function, path, *limits = json.loads(requests.recv_bytes())
            read = getattr(import_module(module), function)
            gc.freeze()  # what was imported is not to be searched, and so copied, by each process
            requests.send_bytes(json.dumps(_try(read, Path(path), Limits(*limits))).encode())


def _try(read: Callable[[Path], object], path: Path, limits: Limits) -> str | None:
    """What a process of its own says about the file; `None` where it ends otherwise."""
    receiver, sender = os.pipe()
    process = os.fork()
    if not process:
        os.close(receiver)
        code = 1
        try:
            _limit(limits, path)
            os.write(sender, _message(read, path).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(sender)
    with os.fdopen(receiver) as answer:
        message = answer.read()
    _, status = os.waitpid(process, 0)
    return message if status == 0 else None


def _limit(limits: Limits, path: Path) -> None:
    has = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    size = path.stat().st_size if path.exists() else 0
    for kind, limit in (
        (resource.RLIMIT_DATA, has + limits.memory),
        (resource.RLIMIT_CPU, limits.seconds),
        (resource.RLIMIT_STACK, STACK),
        (resource.RLIMIT_CORE, 0),
    ):
        most = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (limit if most == resource.RLIM_INFINITY else min(limit, most), most))
    signal.setitimer(signal.ITIMER_REAL, limits.seconds + CALM_SECONDS + size / SLOWEST_DISK)


def _message(read: Callable[[Path], Any], path: Path) -> str:
    """Of the failure to read the file, empty where there is none; a `MemoryError` is raised again."""
    os.dup2(complaints := os.memfd_create("stderr"), sys.stderr.fileno())
    try:
        with warnings.catch_warnings(action="ignore"):
            read(path)
            gc.collect()
    except PetctError as error:
        return str(error)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  a bug, which shows where the file is read without limits
        return ""
    if os.fstat(complaints).st_size:
        return f"{path}: reading it makes the interpreter complain; copy it again from the training"
    return ""


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
