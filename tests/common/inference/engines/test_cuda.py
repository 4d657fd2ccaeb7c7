"""The driver's side of the GPU, against a driver that was compiled for this test."""

from pathlib import Path

import pytest

from common.inference.engines.cuda import NO_GPU
from tests.support.fake_driver import compile_driver, run_with_driver

pytest.importorskip("cuda.bindings", reason="cuda-bindings is in GPU images alone")

FIND = """
import sys
from common.errors import PetctError
from common.inference.engines.cuda import find_gpu
try:
    print(find_gpu())
except PetctError as error:
    print(type(error).__name__, error)
"""

USE = """
import ctypes
import numpy as np
from common.inference.engines.cuda import open_gpu
from common.inference.engines.gpu import GpuError, GpuMemoryError

gpu = open_gpu()
free = gpu.free_memory()
address, source, target = gpu.allocate(1024), gpu.allocate_pinned(1024), gpu.allocate_pinned(1024)
assert address % 256 == 0 and gpu.free_memory() == free - 1024
stream, event = gpu.make_stream(), gpu.make_event()
source[:] = np.arange(1024) % 251
gpu.copy_in(address, source, stream)
gpu.record(event, stream)
gpu.wait(stream, event)
gpu.copy_out(target, address, stream)
gpu.synchronise(event)
gpu.drain(stream)
assert (source == target).all()

kernel = gpu.load_kernel(b"cubin", "fill")
gpu.launch(kernel, (2, 1, 1), (32, 1, 1), [ctypes.c_void_p(address), ctypes.c_float(2.5)], stream)
gpu.copy_out(target, address, stream)
gpu.drain(stream)
assert (target[:256].view(np.float32) == 2.5).all() and (target[256:] == source[256:]).all()

for wrong in (lambda: gpu.load_kernel(b"nonsense", "fill"), lambda: gpu.load_kernel(b"cubin", "absent")):
    try:
        wrong()
    except GpuError:
        continue
    raise AssertionError("no error")
try:
    gpu.allocate(free)
except GpuMemoryError as error:
    print(error)
gpu.free(address)
gpu.free_pinned(source)
gpu.allocate(2048)
gpu.close()
del gpu
again = open_gpu()
assert again.free_memory() == free, "something was not given back"
again.close()
again.drain(stream)
print("done")
"""

BROKEN = """
from common.inference.engines.cuda import open_gpu
from common.inference.engines.gpu import GpuError

gpu = open_gpu()
stream, event = gpu.make_stream(), gpu.make_event()
gpu.allocate(16), gpu.allocate_pinned(16)
try:
    gpu.record(event, stream)
except GpuError as error:
    print(error)
gpu.close()
print("closed")
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_driver(tmp_path_factory.mktemp("driver"))


def said(script: str, driver: Path | None, **settings: object) -> list[str]:
    ended = run_with_driver(script, driver=driver, **settings)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_the_gpu_is_described(driver: Path) -> None:
    (line,) = said(FIND, driver, version=12040, capability="8.6", memory=2**34)
    assert line == "GpuInfo(name='Pretended GPU', capability=(8, 6), memory=17179869184, cuda=(12, 4))"


def test_memory_copies_events_and_kernels_work_and_everything_is_given_back(driver: Path) -> None:
    assert said(USE, driver) == ["cuMemAlloc: out of memory", "done"]


def test_a_gpu_that_failed_is_closed_without_a_further_error(driver: Path) -> None:
    found = said(BROKEN, driver, fail="cuEventRecord:1:719")
    assert found == ["cuEventRecord: unspecified launch failure", "closed"]


def test_without_a_driver_there_is_no_gpu() -> None:
    assert said(FIND, None) == [f"EngineMissingError {NO_GPU}"]


def test_a_driver_without_a_gpu_is_no_gpu(driver: Path) -> None:
    assert said(FIND, driver, init=100) == [f"EngineMissingError {NO_GPU}"]


def test_a_driver_of_an_older_cuda_is_too_old(driver: Path, tmp_path: Path) -> None:
    (line,) = said(FIND, driver, version=11080)
    assert line == (
        "MachineError the GPU's driver supports CUDA 11.8, expected 12.0 or later; install a newer driver"
    )
    (line,) = said(FIND, compile_driver(tmp_path, "BEFORE_CUDA_12"))
    assert line.startswith("MachineError the GPU's driver supports no CUDA 12, expected 12.0 or later")


def test_a_driver_that_does_not_start_says_why(driver: Path) -> None:
    (line,) = said(FIND, driver, init=803)
    assert line.startswith("MachineError the GPU's driver does not start (")
