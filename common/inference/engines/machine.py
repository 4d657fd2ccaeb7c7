"""Hardware of this machine: processor, core quota, GPUs."""

import math
import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from common.control_groups import MEMBERSHIP, ROOT, control_groups

INSTRUCTION_SETS = (
    *("sse4_2", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_bf16", "amx_int8", "amx_fp16"),  # Intel's tile registers
    *("asimd", "sve", "bf16"),  # Arm
)
"""Names in `/proc/cpuinfo` of the instruction sets that matter for the speed of networks."""
BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Instruction sets with bfloat16; without them it is emulated, slower than float32."""
QUOTA_FILES = {1: ("cpu.cfs_quota_us", "cpu.cfs_period_us"), 2: ("cpu.max",)}
DRIVER = Path("/proc/driver/nvidia")


def cpu_name() -> str:
    """Return the processor's model name and the number of cores this process may use."""
    model = _cpu_field("model name") or platform.machine()
    return f"{model} ({cores()} cores)"


def cores() -> int:
    """Return the number of cores this process may use, by CPU affinity and quota."""
    return effective_quota() or len(os.sched_getaffinity(0))


def effective_quota() -> int | None:
    """Return the quota where it is less than the cores assigned, which libraries count to choose threads."""
    quota = core_quota()
    return quota if quota and quota < len(os.sched_getaffinity(0)) else None


def core_quota(membership: Path = MEMBERSHIP, root: Path = ROOT) -> int | None:
    """Return the CPU quota of the process's control groups in cores, rounded up; `None` if unlimited."""
    quotas = (_quota(folder, version) for folder, version in control_groups("cpu", membership, root))
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota(folder: Path, version: int) -> int | None:
    """Read the quota that `docker run --cpus` sets: allowed computing time per period, in microseconds."""
    try:
        text = " ".join((folder / name).read_text() for name in QUOTA_FILES[version])
        allowed, period = text.split()
        return None if allowed in ("max", "-1") else math.ceil(int(allowed) / int(period))
    except (OSError, ValueError):
        return None


def instruction_sets() -> tuple[str, ...]:
    """Return those of `INSTRUCTION_SETS` that the processor supports."""
    flags = set((_cpu_field("flags") or _cpu_field("Features")).split())
    return tuple(name for name in INSTRUCTION_SETS if name in flags)


def has_bfloat16() -> bool:
    """Return whether the processor has bfloat16 instructions."""
    return not BFLOAT16.isdisjoint(instruction_sets())


def gpus() -> tuple[str, ...]:
    """Return the model names of the NVIDIA GPUs that are visible to this process."""
    if not Path("/dev/nvidiactl").exists():
        return ()
    files = sorted(DRIVER.glob("gpus/*/information"))
    lines = (line for file in files for line in file.read_text().splitlines())
    return tuple(line.partition(":")[2].strip() for line in lines if line.startswith("Model"))


def gpu_driver() -> str | None:
    """Return the version line of the NVIDIA driver, `None` without a driver."""
    path = DRIVER / "version"
    return path.read_text().splitlines()[0].strip() if path.exists() else None


def package_version(name: str) -> str | None:
    """Return the version of an installed package, `None` if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu_field(name: str) -> str:
    return _cpu_fields().get(name, "")


@cache
def _cpu_fields() -> dict[str, str]:
    """Return the fields of the first core in `/proc/cpuinfo`."""
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    return fields
