"""Faster, equivalent convolutions of few channels, on pairs of voxels.

A vector register of the CPU holds 16 float32 numbers, which engines fill with output channels. A convolution
with 6 output channels leaves most of it unused. With pairs of neighbours along x as channels of one voxel, 12
are used, and a kernel of five voxels becomes one of three pairs.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional


class ToPairs(nn.Module):
    """(B, C, z, y, x) to (B, 2C, z, y, x/2): the two voxels of a pair become neighbouring channels."""

    def forward(self, voxels: Tensor) -> Tensor:
        """Join pairs along x; the number of voxels must be even."""
        return voxels.unflatten(-1, (-1, 2)).permute(0, 1, 5, 2, 3, 4).flatten(1, 2)


class FromPairs(nn.Module):
    """(B, 2C, z, y, x/2) to (B, C, z, y, x)."""

    def forward(self, pairs: Tensor) -> Tensor:
        """Invert `ToPairs`."""
        return pairs.unflatten(1, (-1, 2)).permute(0, 1, 3, 4, 5, 2).flatten(-2)


def on_pairs(module: nn.Module) -> nn.Module:
    """Return the module that computes on pairs what `module`, in evaluation mode, computes on voxels.

    Its convolutions must have stride 1, one group, an odd kernel and padding that keeps the size; other
    layers must be element-wise.
    """
    if isinstance(module, nn.Conv3d):
        return _convolution(module)
    if isinstance(module, nn.BatchNorm3d):
        return _norm(module)
    paired = copy.deepcopy(module).eval()
    for name, child in module.named_children():
        paired.register_module(name, on_pairs(child))
    return paired


def _convolution(conv: nn.Conv3d) -> nn.Conv3d:
    depth, height, voxels = conv.kernel_size
    padding = (voxels + 1) // 4
    width = 2 * padding + 1
    shifted = []
    for voxel in (0, 1):
        before = 2 * padding + voxel - voxels // 2
        shifted.append(functional.pad(conv.weight, (before, 2 * width - voxels - before)))
    weight = torch.stack(shifted, dim=1).unflatten(-1, (width, 2)).movedim(-1, 3)
    paired = nn.Conv3d(
        2 * conv.in_channels,
        2 * conv.out_channels,
        (depth, height, width),
        padding=(depth // 2, height // 2, padding),
        bias=conv.bias is not None,
    )
    paired.weight = nn.Parameter(weight.flatten(2, 3).flatten(0, 1))
    if conv.bias is not None:
        paired.bias = nn.Parameter(conv.bias.repeat_interleave(2))
    return paired


def _norm(norm: nn.BatchNorm3d) -> nn.BatchNorm3d:
    paired = nn.BatchNorm3d(2 * norm.num_features, norm.eps).eval()
    per_channel = {name: tensor for name, tensor in norm.state_dict().items() if tensor.ndim}
    paired.load_state_dict({name: t.repeat_interleave(2) for name, t in per_channel.items()}, strict=False)
    return paired
