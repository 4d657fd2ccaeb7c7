"""How much memory is left, asked before a long computation instead of being killed in it."""

import logging
import resource
from pathlib import Path

from common.control_groups import MEMBERSHIP, ROOT, control_groups
from common.errors import MachineError
from common.sizes import at_least, at_most

logger = logging.getLogger(__name__)

MIB, GIB = 2**20, 2**30
MARGIN = 64 * 2**20
"""Kept for libraries that end the process when they get no working memory, as OpenBLAS does."""
CONTROL_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}
"""Limit, usage, and the file caches' entry in `memory.stat`, for each version of control groups."""


def require_memory(needed: int, purpose: str) -> None:
    """Raise `MachineError` when fewer than `needed` bytes are left for `purpose`."""
    left = max(0, available_memory() - MARGIN)
    if needed > left:
        raise MachineError(
            f"{purpose} needs about {at_least(needed, GIB)} GiB of memory, {at_most(left, GIB)} GiB are "
            "free; use a machine with more, or a container with a higher limit"
        )
    logger.info("%s needs about %.2f GiB of memory, %.2f GiB are free", purpose, needed / GIB, left / GIB)


def available_memory() -> int:
    """Bytes this process can still get: the tightest of machine, container and process limits."""
    limits = [_machine(), container_memory(), _process()]
    return max(0, min(limit for limit in limits if limit is not None))


def container_memory(membership: Path = MEMBERSHIP, root: Path = ROOT) -> int | None:
    """Bytes that the process's control group and those above it still allow, or `None` without a limit.

    File caches do not count: the kernel drops them. Source: Linux's admin-guide/cgroup-v1/memory.rst and
    admin-guide/cgroup-v2.rst.
    """
    left = (_left(folder, version) for folder, version in control_groups("memory", membership, root))
    return min((bytes_ for bytes_ in left if bytes_ is not None), default=None)


def peak_memory() -> int:
    """Bytes this process has held at most; `ru_maxrss` would count what its parent held, too."""
    return _field(Path("/proc/self/status"), "VmHWM") or 0


def present_memory() -> int:
    """Bytes this process holds now."""
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
    """What `RLIMIT_DATA`, which the platform sets, leaves beyond the present data segment."""
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if limit == resource.RLIM_INFINITY:
        return None
    return limit - (_field(Path("/proc/self/status"), "VmData") or 0)


def _field(path: Path, name: str) -> int | None:
    """A field given in kB, in bytes."""
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    return None
