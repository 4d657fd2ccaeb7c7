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
