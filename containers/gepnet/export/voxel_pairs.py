"""Convolutions of few channels, on pairs of voxels: the same numbers in less time.

A CPU's vector register holds sixteen numbers, and engines fill it with output channels. A convolution to six
channels leaves most of it idle. With two neighbours along x as channels of one voxel it fills twelve, and a
kernel of five voxels becomes one of three pairs.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional


class ToPairs(nn.Module):
    """(B, C, z, y, x) to (B, 2C, z, y, x/2): the voxels of a pair become neighbouring channels."""

    def forward(self, voxels: Tensor) -> Tensor:
        """Pairs of an even number of voxels along x."""
        return voxels.unflatten(-1, (-1, 2)).permute(0, 1, 5, 2, 3, 4).flatten(1, 2)


class FromPairs(nn.Module):
    """(B, 2C, z, y, x/2) to (B, C, z, y, x)."""

    def forward(self, pairs: Tensor) -> Tensor:
        """The inverse of `ToPairs`."""
        return pairs.unflatten(1, (-1, 2)).permute(0, 1, 3, 4, 5, 2).flatten(-2)


def on_pairs(module: nn.Module) -> nn.Module:
    """The module that does to pairs what `module`, set to inference, does to voxels.

    Its convolutions have stride 1, one group, an odd kernel, and keep the size; the layers between them work
    voxel by voxel and treat all channels alike.
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
    depth, height, along_x = conv.kernel_size
    reach = (along_x + 1) // 4
    width = 2 * reach + 1
    shifted = []
    for voxel in (0, 1):
        before = 2 * reach + voxel - along_x // 2
        shifted.append(functional.pad(conv.weight, (before, 2 * width - along_x - before)))
    weight = torch.stack(shifted, dim=1).unflatten(-1, (width, 2)).movedim(-1, 3)
    paired = nn.Conv3d(
        2 * conv.in_channels,
        2 * conv.out_channels,
        (depth, height, width),
        padding=(depth // 2, height // 2, reach),
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
