import re
from pathlib import Path

import pytest

from common.errors import MachineError
from common.export.tensorrt import cubins
from common.export.tensorrt.cubins import CAPABILITIES, compile_cubin, write_cubins
from common.hashes import sha256_of

pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed")

MAX_REGISTERS = 64
"""With more, not all threads that a Turing GPU can hold would run."""


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_nothing_is_spilled_and_all_threads_fit(capability: str) -> None:
    _, log = compile_cubin(capability)
    stack = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", log)
    assert stack == [("0", "0", "0")] * 2
    registers = [int(number) for number in re.findall(r"Used (\d+) registers", log)]
    assert len(registers) == 2
    assert max(registers) <= MAX_REGISTERS


def test_every_capability_has_a_small_file_of_the_same_bytes_each_time(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    first, again = write_cubins(tmp_path), write_cubins(tmp_path / "again")
    assert [kernel.capability for kernel in first] == list(CAPABILITIES)
    assert [kernel.sha256 for kernel in first] == [kernel.sha256 for kernel in again]
    assert len({kernel.sha256 for kernel in first}) == len(CAPABILITIES)
    for kernel in first:
        assert kernel.path.name == f"deform_im2col3d.sm{kernel.capability.replace('.', '')}.cubin"
        assert kernel.sha256 == sha256_of(kernel.path)
        content = kernel.path.read_bytes()
        assert content.startswith(b"\x7fELF")
        assert len(content) < 50_000
        for precision in (b"float32", b"float16"):
            assert b"deform_im2col3d_" + precision in content


def test_an_unknown_capability_is_refused_in_the_compilers_words() -> None:
    with pytest.raises(MachineError, match=r"capability 1.0 \(nvrtc: error: invalid value") as caught:
        compile_cubin("1.0")
    assert "\n" not in str(caught.value)


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise RuntimeError("libnvrtc.so")

    from cuda.bindings import nvrtc

    monkeypatch.setattr(nvrtc, "nvrtcVersion", missing)
    with pytest.raises(MachineError, match="pip install nvidia-cuda-nvrtc-cu12"):
        cubins.compile_cubin("7.5")


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"deform_im2col3d.sm75.cubin: cannot be written"):
        write_cubins(tmp_path / "missing")
