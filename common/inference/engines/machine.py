"""What this machine has to compute with: its processor and its GPUs."""

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
"""Those of the kernel's names that decide how fast networks run."""
BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""With one of these, bfloat16 has instructions; without, it is emulated, slower than float32."""
QUOTA_FILES = {1: ("cpu.cfs_quota_us", "cpu.cfs_period_us"), 2: ("cpu.max",)}
DRIVER = Path("/proc/driver/nvidia")


def cpu_name() -> str:
    """The processor's model name, with the number of cores this process may use."""
    model = _cpu_field("model name") or platform.machine()
    return f"{model} ({cores()} cores)"


def cores() -> int:
    """Cores that this process may use, whether they are assigned to it or their time is rationed."""
    return rationed_cores() or len(os.sched_getaffinity(0))


def rationed_cores() -> int | None:
    """The quota where it is less than the cores assigned: what libraries that count those do not know."""
    quota = core_quota()
    return quota if quota and quota < len(os.sched_getaffinity(0)) else None


def core_quota(membership: Path = MEMBERSHIP, root: Path = ROOT) -> int | None:
    """Cores whose time the control groups ration to the process, rounded up; `None` without a limit."""
    quotas = (_quota(folder, version) for folder, version in control_groups("cpu", membership, root))
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota(folder: Path, version: int) -> int | None:
    """`docker run --cpus` sets it: microseconds of computing allowed, in a period of so many."""
    try:
        text = " ".join((folder / name).read_text() for name in QUOTA_FILES[version])
        allowed, period = text.split()
        return None if allowed in ("max", "-1") else math.ceil(int(allowed) / int(period))
    except (OSError, ValueError):
        return None


def instruction_sets() -> tuple[str, ...]:
    """Those of `INSTRUCTION_SETS` that the processor has."""
    flags = set((_cpu_field("flags") or _cpu_field("Features")).split())
    return tuple(name for name in INSTRUCTION_SETS if name in flags)


def has_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16."""
    return not BFLOAT16.isdisjoint(instruction_sets())


def gpus() -> tuple[str, ...]:
    """Model names of the NVIDIA GPUs that the driver shows to this process."""
    if not Path("/dev/nvidiactl").exists():
        return ()
    files = sorted(DRIVER.glob("gpus/*/information"))
    lines = (line for file in files for line in file.read_text().splitlines())
    return tuple(line.partition(":")[2].strip() for line in lines if line.startswith("Model"))


def gpu_driver() -> str | None:
    """The NVIDIA driver's own line about its version, `None` where there is no driver."""
    path = DRIVER / "version"
    return path.read_text().splitlines()[0].strip() if path.exists() else None


def package_version(name: str) -> str | None:
    """The version of an installed package, `None` where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu_field(name: str) -> str:
    return _cpu_fields().get(name, "")


@cache
def _cpu_fields() -> dict[str, str]:
    """What the kernel says of the first core."""
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    return fields
