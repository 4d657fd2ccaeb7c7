import os
from importlib.metadata import version
from pathlib import Path

import pytest

from common.inference.engines import machine

INTEL = "model name\t: Intel(R) Xeon(R) Platinum\nflags\t\t: fpu avx2 fma avx512f avx512_bf16 amx_bf16\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd sve bf16\n"


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch):
    """Let the kernel describe another processor."""

    def cpu(text: str) -> None:
        machine._cpu_fields.cache_clear()
        read = Path.read_text
        monkeypatch.setattr(
            Path, "read_text", lambda path, **o: text if str(path) == "/proc/cpuinfo" else read(path, **o)
        )

    yield cpu
    machine._cpu_fields.cache_clear()


def test_processor_is_named_with_its_cores(cpu) -> None:
    cpu(INTEL + "model name\t: another core\n")
    assert machine.cpu_name().startswith("Intel(R) Xeon(R) Platinum (")


@pytest.mark.parametrize(
    ("text", "expected", "bfloat16"),
    [
        (INTEL, ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16"), True),
        (ARM, ("asimd", "sve", "bf16"), True),
        ("flags: fpu avx2 avx512f avx512_vnni\n", ("avx2", "avx512f", "avx512_vnni"), False),
        ("processor: 0\n", (), False),
    ],
)
def test_instruction_sets_are_those_that_matter(cpu, text: str, expected: tuple[str, ...], bfloat16) -> None:
    cpu(text)
    assert machine.instruction_sets() == expected
    assert machine.has_bfloat16() is bfloat16


def test_packages_are_known_by_their_versions() -> None:
    assert machine.package_version("onnxruntime") == version("onnxruntime")
    assert machine.package_version("no-such-package") is None


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/a/b", {"a/b/cpu.max": "150000 100000"}, 2),
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "400000 100000"}, 4),
        ("0::/a/b", {"a/b/cpu.max": "max 100000"}, None),
        (
            "4:cpu,cpuacct:/a",
            {"cpu/a/cpu.cfs_quota_us": "200000", "cpu/a/cpu.cfs_period_us": "100000"},
            2,
        ),
        ("1:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("4:memory:/a", {"memory/a/cpu.cfs_quota_us": "200000"}, None),
        ("0::/a", {"a/cpu.max": "nonsense"}, None),
    ],
)
def test_cores_that_the_control_groups_ration_are_known(
    tmp_path: Path, membership: str, files: dict[str, str], expected: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "membership").write_text(f"{membership}\n")
    assert machine.core_quota(tmp_path / "membership", tmp_path) == expected


def test_cores_are_those_assigned_or_the_quota_whichever_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "core_quota", lambda: 1)
    assert machine.cores() == 1
    monkeypatch.setattr(machine, "core_quota", lambda: None)
    assert machine.cores() == len(os.sched_getaffinity(0))


def test_a_quota_of_as_many_cores_as_are_assigned_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "core_quota", lambda: len(os.sched_getaffinity(0)))
    assert machine.effective_quota() is None
