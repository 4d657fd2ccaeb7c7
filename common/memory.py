"""Available memory, checked before a long computation that would otherwise be killed."""

import logging
import resource
from pathlib import Path

from common.control_groups import MEMBERSHIP, ROOT, control_groups
from common.errors import MachineError
from common.sizes import at_least, at_most

logger = logging.getLogger(__name__)

MIB, GIB = 2**20, 2**30
MARGIN = 64 * MIB
"""Reserve for libraries that abort the process when an allocation fails, such as OpenBLAS."""
CONTROL_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}
"""Limit, usage, and the entry of the file cache in `memory.stat`, for each cgroup version."""


def require_memory(needed: int, purpose: str) -> None:
    """Raise `MachineError` if fewer than `needed` bytes are available for `purpose`."""
    left = max(0, available_memory() - MARGIN)
    if needed > left:
        raise MachineError(
            f"{purpose} needs about {at_least(needed, GIB)} GiB of memory, {at_most(left, GIB)} GiB are "
            "free; use a machine with more, or a container with a higher limit"
        )
    logger.info("%s needs about %.2f GiB of memory, %.2f GiB are free", purpose, needed / GIB, left / GIB)


def available_memory() -> int:
    """Return the bytes this process can still allocate: the minimum over machine, container and process."""
    limits = [_machine(), container_memory(), _process()]
    return max(0, min(limit for limit in limits if limit is not None))


def container_memory(membership: Path = MEMBERSHIP, root: Path = ROOT) -> int | None:
    """Return the bytes that the process's control groups still allow, `None` without a limit.

    The file cache does not count as used, because the kernel reclaims it. Source: Linux's
    admin-guide/cgroup-v1/memory.rst and admin-guide/cgroup-v2.rst.
    """
    left = (_left(folder, version) for folder, version in control_groups("memory", membership, root))
    return min((bytes_ for bytes_ in left if bytes_ is not None), default=None)


def peak_memory() -> int:
    """Return the peak resident memory of this process in bytes; `ru_maxrss` would include its parent's."""
    return _field(Path("/proc/self/status"), "VmHWM") or 0


def present_memory() -> int:
    """Return the resident memory of this process in bytes."""
    return _field(Path("/proc/self/status"), "VmRSS") or 0


def _machine() -> int | None:
    return _field(Path("/proc/meminfo"), "MemAvailable")


def _left(folder: Path, version: int) -> int | None:
    limit, usage, cache = CONTROL_FILES[version]
    try:
        allowed = (folder / limit).read_text().strip()
        if allowed == "max":
            return None
        statistics = (folder / "memory.stat").read_text().split()
        reclaimable = int(statistics[statistics.index(cache) + 1])
        return int(allowed) - int((folder / usage).read_text()) + reclaimable
    except (OSError, ValueError, IndexError):
        return None


def _process() -> int | None:
    """Return what `RLIMIT_DATA`, which the platform sets, leaves beyond the current data segment."""
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if limit == resource.RLIM_INFINITY:
        return None
    return limit - (_field(Path("/proc/self/status"), "VmData") or 0)


def _field(path: Path, name: str) -> int | None:
    """Read a field in kB; return it in bytes."""
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    return None
