"""The deformable convolution's kernel on the GPU, against the reference."""

import numpy as np
import pytest
from numpy.typing import NDArray

from common.export.tensorrt.cubins import write_cubins
from common.geometry import triple
from common.inference.engines.cuda import CudaGpu
from common.inference.engines.deform_im2col3d import Im2col, Precision, Sampling, load_im2col
from tests.support.deform_conv3d import Call, by_torch, random_call

TOLERANCE: dict[Precision, float] = {"float32": 1e-5, "float16": 1e-2}


@pytest.fixture(scope="module")
def im2col(gpu: CudaGpu, tmp_path_factory: pytest.TempPathFactory) -> Im2col:
    return load_im2col(gpu, write_cubins(tmp_path_factory.mktemp("cubins")), gpu.info.capability)


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("seed", range(30))
def test_kernel_samples_as_the_reference_does(
    gpu: CudaGpu, im2col: Im2col, seed: int, precision: Precision
) -> None:
    call = random_call(seed)
    columns = columns_on(gpu, im2col, call, precision).reshape(
        call.input.shape[0], call.groups, -1, voxels(call)
    )
    product = call.weight.reshape(call.groups, -1, columns.shape[2]) @ columns
    expected = by_torch(call)
    found = product.reshape(expected.shape) + call.bias[:, None, None, None]
    assert np.abs(found - expected).max() <= TOLERANCE[precision] * expected.std()


def columns_on(gpu: CudaGpu, im2col: Im2col, call: Call, precision: Precision) -> NDArray[np.float32]:
    """The call's samples, (N · C · taps · voxels)."""
    sampling = Sampling(
        triple(call.weight.shape[2:]),
        triple(call.stride),
        triple(call.padding),
        triple(call.dilation),
        call.deformable_groups,
    )
    stream = gpu.make_stream()
    volume, offset = (to_gpu(gpu, array.astype(precision), stream) for array in (call.input, call.offset))
    size = call.input.shape[0] * call.input.shape[1] * sampling.taps * voxels(call)
    result = gpu.allocate_pinned(size * np.dtype(precision).itemsize)
    target = gpu.allocate(result.nbytes)
    im2col.launch(sampling, call.input.shape, call.offset.shape, precision, volume, offset, target, stream)
    gpu.copy_out(result, target, stream)
    gpu.drain(stream)
    for address in (volume, offset, target):
        gpu.free(address)
    return result.view(precision).astype(np.float32)


def to_gpu(gpu: CudaGpu, array: NDArray[np.generic], stream: int) -> int:
    pinned = gpu.allocate_pinned(array.nbytes)
    pinned[:] = np.frombuffer(array.tobytes(), np.uint8)
    address = gpu.allocate(array.nbytes)
    gpu.copy_in(address, pinned, stream)
    gpu.drain(stream)
    gpu.free_pinned(pinned)
    return address


def voxels(call: Call) -> int:
    return int(np.prod(call.offset.shape[2:]))
