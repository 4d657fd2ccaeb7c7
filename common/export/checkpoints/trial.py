"""A first reading of a stranger's file in a process that may hang, crash or run out of memory for us."""

import os
import resource
import warnings
from collections.abc import Callable
from pathlib import Path

from common.errors import ModelError

SECONDS = 3
MEMORY = 2**29
"""Bytes beyond what this process has, for a file of no size."""
BYTES_PER_SECOND = 50 * 2**20
COPIES = 3
"""Of a large file's content, that reading may hold."""


def try_first(read: Callable[[Path], object], path: Path) -> None:
    """Read the file in a copy of this process; raises the `ModelError` that `read` raises there.

    Raises `ModelError`, too, where that process does not come to an end within limits of time and memory
    that grow with the file.
    """
    size = path.stat().st_size if path.exists() else 0
    seconds, memory = SECONDS + size // BYTES_PER_SECOND, MEMORY + COPIES * size
    receiver, sender = os.pipe()
    with warnings.catch_warnings(action="ignore"):  # of threads, which the copy does without
        child = os.fork()
    if not child:
        _read(read, path, seconds, memory, sender)
    os.close(sender)
    with open(receiver, encoding="utf-8") as pipe:  # noqa: PTH123
        refusal = pipe.read()
    if os.waitpid(child, 0)[1]:
        raise ModelError(
            f"{path}: {memory >> 20} MiB and {seconds} s do not suffice to read it, or it crashes readers; "
            "use a checkpoint as training left it"
        )
    if refusal:
        raise ModelError(refusal)


def limit_memory(more: int) -> None:
    """Let this process take so many bytes more than it has; further allocations fail."""
    has = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = has + more if most == resource.RLIM_INFINITY else min(has + more, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most))


def _read(read: Callable[[Path], object], path: Path, seconds: int, memory: int, sender: int) -> None:
    """In the copy: read, tell why not, and end without what a process does at its end."""
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        limit_memory(memory)
        read(path)
        status = 0
    except ModelError as error:
        with open(sender, "w", encoding="utf-8") as pipe:
            pipe.write(str(error))
        status = 0
    finally:
        os._exit(status)
