import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from common.errors import MachineError
from common.export.onnx.deform_conv3d.geometry import ConvGeometry, geometry
from common.export.onnx.deform_conv3d.reference import im2col
from common.inference.engines.deform_im2col3d import Geometry, Im2col, Precision, Sampling, load_im2col
from common.inference.files import KernelFile
from tests.support.deform_conv3d import Call, random_call
from tests.support.host_kernel import HostLauncher, compile_host_kernel

SEEDS = range(48)
STREAM = 77


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return compile_host_kernel(tmp_path_factory.mktemp("kernel"))


def geometry_of(call: Call) -> ConvGeometry:
    return geometry(call.input.shape, call.offset.shape, call.weight.shape, *call.parameters)


def sampling_of(call: Call) -> Sampling:
    g = geometry_of(call)
    return Sampling(g.kernel, g.stride, g.padding, g.dilation, g.deformable_groups)


def expected(call: Call, volume: NDArray[Any], offset: NDArray[Any]) -> NDArray[np.float32]:
    inputs, offsets = (torch.from_numpy(array.astype(np.float32)) for array in (volume, offset))
    found: NDArray[np.float32] = im2col(inputs, offsets, geometry_of(call)).numpy()
    return found


def by_kernel(library: ctypes.CDLL, call: Call, volume: NDArray[Any], offset: NDArray[Any]) -> NDArray[Any]:
    g = geometry_of(call)
    columns = np.full((g.batch, g.channels * g.taps, np.prod(g.out_size)), np.nan, volume.dtype)
    launcher = HostLauncher(library)
    precision: Precision = "float16" if volume.dtype == np.float16 else "float32"
    Im2col(launcher, b"cubin").launch(
        sampling_of(call),
        volume.shape,
        offset.shape,
        precision,
        volume.ctypes.data,
        offset.ctypes.data,
        columns.ctypes.data,
        STREAM,
    )
    assert launcher.streams == [STREAM]
    return columns


@pytest.mark.parametrize("seed", SEEDS)
def test_the_kernel_equals_the_reference_in_float32(library: ctypes.CDLL, seed: int) -> None:
    call = random_call(seed)
    found = by_kernel(library, call, call.input, call.offset)
    np.testing.assert_array_equal(found, expected(call, call.input, call.offset))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_kernel_rounds_the_reference_in_float16(library: ctypes.CDLL, seed: int) -> None:
    call = random_call(seed)
    volume, offset = call.input.astype(np.float16), call.offset.astype(np.float16)
    found = by_kernel(library, call, volume, offset)
    np.testing.assert_array_equal(found, expected(call, volume, offset).astype(np.float16))


@pytest.mark.parametrize("far", [1e30, -1e30, 65504.0])
def test_samples_far_outside_are_zero(library: ctypes.CDLL, far: float) -> None:
    call = random_call(0)
    assert not by_kernel(library, call, call.input, np.full_like(call.offset, far)).any()


def test_more_voxels_than_a_block_has_threads_are_computed(library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(0)
    ones = [1, 1, 1]
    call = Call(
        rng.standard_normal((2, 4, 7, 9, 11), np.float32),
        rng.uniform(-2, 2, (2, 2 * 81, 7, 9, 11)).astype(np.float32),
        np.zeros((1, 4, 3, 3, 3), np.float32),
        np.zeros(1, np.float32),
        ones, ones, ones, 1, 2,
    )  # fmt: skip
    found = by_kernel(library, call, call.input, call.offset)
    np.testing.assert_array_equal(found, expected(call, call.input, call.offset))


def test_the_structs_of_both_languages_are_as_large(library: ctypes.CDLL) -> None:
    assert library.geometry_bytes() == ctypes.sizeof(Geometry)


def test_attributes_go_there_and_back() -> None:
    sampling = Sampling((3, 1, 2), (1, 2, 1), (0, 1, 2), (2, 1, 1), 4)
    assert Sampling.from_attributes(sampling.attributes()) == sampling


class Refusing:
    """A launcher that only takes kernels."""

    def __init__(self) -> None:
        self.images: list[bytes] = []

    def load_kernel(self, image: bytes, name: str) -> int:
        self.images.append(image)
        return 0

    def launch(self, *arguments: Any) -> None:
        raise AssertionError(arguments)


@pytest.fixture
def kernels(tmp_path: Path) -> list[KernelFile]:
    capabilities = ("7.5", "8.0", "8.6", "12.0")
    for capability in capabilities:
        (tmp_path / capability).write_bytes(capability.encode())
    return [KernelFile(tmp_path / capability, capability, "") for capability in capabilities]


@pytest.mark.parametrize(
    ("capability", "chosen"),
    [((7, 5), b"7.5"), ((8, 0), b"8.0"), ((8, 7), b"8.6"), ((8, 9), b"8.6"), ((12, 1), b"12.0")],
)
def test_the_nearest_lower_cubin_of_the_same_major_capability_is_loaded(
    kernels: list[KernelFile], capability: tuple[int, int], chosen: bytes
) -> None:
    launcher = Refusing()
    load_im2col(launcher, kernels, capability)
    assert launcher.images == [chosen, chosen]


@pytest.mark.parametrize("capability", [(7, 0), (9, 0), (10, 0)])
def test_a_gpu_without_a_cubin_is_refused(kernels: list[KernelFile], capability: tuple[int, int]) -> None:
    with pytest.raises(MachineError, match=r"kernels are for 7.5, 8.0, 8.6, 12.0; export .* --deform gather"):
        load_im2col(Refusing(), kernels, capability)


def test_a_cubin_that_is_gone_is_named(kernels: list[KernelFile]) -> None:
    kernels[0].path.unlink()
    with pytest.raises(MachineError, match=r"7.5: cannot be read \(No such file"):
        load_im2col(Refusing(), kernels, (7, 5))
