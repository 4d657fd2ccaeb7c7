from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from common.export.onnx.deform_conv3d.reference import deform_conv3d
from tests.support.deform_conv3d import Call, by_loop, by_torch, random_call


@pytest.mark.parametrize("seed", range(48))
def test_agrees_with_a_loop_over_eight_corners(seed: int) -> None:
    call = random_call(seed)
    np.testing.assert_allclose(by_torch(call), by_loop(call), rtol=0, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_without_offsets_is_an_ordinary_convolution(seed: int) -> None:
    call = random_call(seed)
    input_, _, weight, bias = map(torch.from_numpy, call.tensors)
    stride, padding, dilation, groups, _ = call.parameters
    ordinary = torch.nn.functional.conv3d(input_, weight, bias, stride, padding, dilation, groups)
    still = by_torch(replace(call, offset=np.zeros_like(call.offset)))
    np.testing.assert_allclose(still, ordinary.numpy(), rtol=0, atol=1e-4)


def test_samples_far_outside_count_zero() -> None:
    call = random_call(0)
    far = by_torch(replace(call, offset=np.full_like(call.offset, 1e30)))
    assert np.array_equal(far, np.broadcast_to(call.bias[:, None, None, None], far.shape))


def test_channels_last_memory_changes_nothing() -> None:
    call = random_call(3)
    input_, *others = map(torch.from_numpy, call.tensors)
    turned = input_.contiguous(memory_format=torch.channels_last_3d)
    np.testing.assert_array_equal(deform_conv3d(turned, *others, *call.parameters).numpy(), by_torch(call))


@pytest.mark.parametrize("seed", range(3))
def test_gradients_agree_with_finite_differences(seed: int) -> None:
    tensors, parameters = _off_the_grid(random_call(seed))
    assert torch.autograd.gradcheck(lambda *t: deform_conv3d(*t, *parameters), tensors, fast_mode=True)


def test_torch_accepts_the_registration() -> None:
    tensors, parameters = _off_the_grid(random_call(1))
    checks = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_static")
    torch.library.opcheck(deform_conv3d, (*tensors, *parameters), test_utils=checks)


def _off_the_grid(call: Call) -> tuple[tuple[torch.Tensor, ...], tuple[list[int] | int, ...]]:
    """Double precision, and no sample where trilinear interpolation has a kink."""
    offset = np.floor(call.offset) + np.random.default_rng(0).uniform(0.1, 0.9, call.offset.shape)
    arrays = (call.input, offset, call.weight, call.bias)
    return tuple(
        torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in arrays
    ), call.parameters


def _shorter_offset(call: Call) -> Call:
    return replace(call, offset=call.offset[:, 1:])


def _one_channel_less(call: Call) -> Call:
    return replace(call, input=call.input[:, 1:])


def _larger_kernel(call: Call) -> Call:
    return replace(call, weight=np.ones((*call.weight.shape[:2], 20, 20, 20), np.float32))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_shorter_offset, "offset has shape"),
        (_one_channel_less, "does not fit an input"),
        (_larger_kernel, "leaves nothing"),
    ],
)
def test_refuses_shapes_that_do_not_fit(spoil: Callable[[Call], Call], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        by_torch(spoil(random_call(0)))
