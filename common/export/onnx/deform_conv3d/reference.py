"""The operator `petct::deform_conv3d` in plain torch: differentiable, on any device."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from common.export.onnx.deform_conv3d.geometry import ConvGeometry, geometry


@torch.library.custom_op("petct::deform_conv3d", mutates_args=())
def deform_conv3d(
    input: Tensor,  # noqa: A002 - torch's name for it
    offset: Tensor,
    weight: Tensor,
    bias: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    deformable_groups: int,
) -> Tensor:
    """Compute a 3D deformable convolution.

    The input is sampled at output · stride − padding + tap · dilation + offset, with trilinear interpolation
    and zeros outside.

    Parameters
    ----------
    input
        (N, C, D, H, W).
    offset
        In voxels, (N, 3·G·kd·kh·kw, D', H', W'): deformable group, tap (kd, kh, kw), then axis (z, y, x).
    weight, bias
        (O, C/groups, kd, kh, kw) and (O).
    stride, padding, dilation
        Per axis (z, y, x), in voxels.
    groups
        Groups of channels, as in `torch.nn.Conv3d`.
    deformable_groups
        G, the number of groups of channels that share offsets.

    Returns
    -------
    Tensor
        (N, O, D', H', W').

    Raises
    ------
    ValueError
        The shapes do not fit each other.

    References
    ----------
    Dai et al. 2017, "Deformable Convolutional Networks"; the directory `dcn` of GEPNet.

    """
    g = geometry(
        input.shape, offset.shape, weight.shape, stride, padding, dilation, groups, deformable_groups
    )
    return _convolve(input, offset, weight, bias, g)


@deform_conv3d.register_fake
def _(
    input: Tensor,  # noqa: A002
    offset: Tensor,
    weight: Tensor,
    bias: Tensor,
    *parameters: Any,
) -> Tensor:
    return input.new_empty(geometry(input.shape, offset.shape, weight.shape, *parameters).out_shape)


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    tensors, parameters = inputs[:4], inputs[4:]
    ctx.save_for_backward(*tensors)
    ctx.geometry = geometry(*(tensor.shape for tensor in tensors[:3]), *parameters)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    tensors = [
        tensor.detach().requires_grad_(needed)
        for tensor, needed in zip(ctx.saved_tensors, ctx.needs_input_grad, strict=False)
    ]
    volume, offset, weight, bias = tensors
    with torch.enable_grad():
        output = _convolve(volume, offset, weight, bias, ctx.geometry)
    found = iter(torch.autograd.grad(output, [t for t in tensors if t.requires_grad], gradient))
    parameters = len(ctx.needs_input_grad) - len(tensors)
    return *(next(found) if tensor.requires_grad else None for tensor in tensors), *[None] * parameters


deform_conv3d.register_autograd(_backward, setup_context=_save_for_backward)
# In bfloat16 the sampling positions would be wrong by whole voxels.
deform_conv3d.register_autocast("cpu", torch.float32)
deform_conv3d.register_autocast("cuda", torch.float32)


def im2col(volume: Tensor, offset: Tensor, g: ConvGeometry) -> Tensor:
    """Sample the volume for every output voxel and tap; columns (N, C·taps, D'·H'·W')."""
    blocks = g.batch * g.deformable_groups
    z, y, x = (g.lattice(axis) for axis in range(3))
    lattice = np.broadcast_arrays(z[:, :, None, None], y[:, None, :, None], x[:, None, None, :])
    start = torch.from_numpy(np.stack(lattice, axis=1)).to(offset)
    positions = offset.reshape(blocks, g.taps, 3, *g.out_size) + start
    samples = _sample(volume.reshape(blocks, -1, *g.size), positions.transpose(1, 2).flatten(2))
    return samples.reshape(g.batch, g.channels * g.taps, -1)


def _convolve(volume: Tensor, offset: Tensor, weight: Tensor, bias: Tensor, g: ConvGeometry) -> Tensor:
    columns = im2col(volume, offset, g).reshape(g.batch, g.groups, weight[0].numel(), -1)
    output = weight.reshape(g.groups, -1, weight[0].numel()) @ columns
    return output.reshape(g.out_shape) + bias[:, None, None, None]


def _sample(volume: Tensor, positions: Tensor) -> Tensor:
    """Sample (N, C, D, H, W) trilinearly at positions (N, 3, S) in voxels, zero outside; (N, C, S)."""
    size = torch.tensor(volume.shape[2:], device=volume.device)[:, None]
    positions = torch.minimum(positions.clamp(min=-1), size)
    lower = positions.floor()
    upper_weight = positions - lower
    _, height, width = volume.shape[2:]
    stride = torch.tensor((height * width, width, 1), device=volume.device)[:, None]
    voxels = volume.flatten(2)
    samples = voxels.new_zeros(*voxels.shape[:2], positions.shape[2])
    for corner in itertools.product((0, 1), repeat=3):
        step = torch.tensor(corner, device=volume.device)[:, None]
        index = lower.long() + step
        inside = ((index >= 0) & (index < size)).all(dim=1, keepdim=True)
        factor = torch.where(step == 1, upper_weight, 1 - upper_weight).prod(dim=1, keepdim=True)
        address = (torch.minimum(index.clamp(min=0), size - 1) * stride).sum(dim=1, keepdim=True)
        samples = samples + inside * factor * voxels.gather(2, address.expand(-1, voxels.shape[1], -1))
    return samples
