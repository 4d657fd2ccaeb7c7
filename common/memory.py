"""How much memory is left, asked before a long computation instead of being killed in it."""

import logging
import resource
from pathlib import Path

from common.errors import MachineError

logger = logging.getLogger(__name__)

GIB = 2**30
MARGIN = 64 * 2**20
"""Kept for libraries that end the process when they get no working memory, as OpenBLAS does."""


def require_memory(needed: int, purpose: str) -> None:
    """Raise `MachineError` when fewer than `needed` bytes are left for `purpose`."""
    left = available_memory() - MARGIN
    logger.info("%s needs about %.2f GiB of memory, %.2f GiB are free", purpose, needed / GIB, left / GIB)
    if needed > left:
        raise MachineError(
            f"{purpose} needs about {needed / GIB:.2f} GiB of memory, {left / GIB:.2f} GiB are free; use a "
            "machine with more, or a container with a higher limit"
        )


def available_memory() -> int:
    """Bytes this process can still get: the tightest of machine, container and process limits."""
    limits = [_machine(), _container(), _process()]
    return max(0, min(limit for limit in limits if limit is not None))


def peak_memory() -> int:
    """Bytes this process has held at most; `ru_maxrss` would count what its parent held, too."""
    return _field(Path("/proc/self/status"), "VmHWM") or 0


def present_memory() -> int:
    """Bytes this process holds now."""
    return _field(Path("/proc/self/status"), "VmRSS") or 0


def _machine() -> int | None:
    return _field(Path("/proc/meminfo"), "MemAvailable")


def _container() -> int | None:
    """What the control group allows beyond what it holds, not counting file caches it would drop."""
    for limit, usage, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        root = Path("/sys/fs/cgroup")
        try:
            allowed, used = (root / limit).read_text().strip(), int((root / usage).read_text())
        except (OSError, ValueError):
            continue
        if allowed == "max":
            return None
        statistics = (root / usage).with_name("memory.stat").read_text().split()
        return int(allowed) - used + int(statistics[statistics.index(cache) + 1])
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
