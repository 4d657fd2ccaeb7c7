"""nnU-Net v1's `Generic_UNet`, as `nnUNetTrainerV2` builds it.

Parameter names are those of nnunet/network_architecture/generic_UNet.py (nnU-Net 1.7.1).
"""

from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn

from common.export.checkpoints.v1.checkpoint import read_weights
from common.export.checkpoints.v1.plans import NetworkPlan, Triple
from common.export.checkpoints.weights import load_weights

MAX_FEATURES = 320


def load_unet(network_plan: NetworkPlan, path: Path) -> nn.Module:
    """Build the network and load one fold's `model_final_checkpoint.model`, set to inference.

    The heads that only deep supervision needs are left out. Raises `ModelError` for a checkpoint that is
    missing, damaged, holds more than data, or does not fit the plans.
    """
    weights = read_weights(path)
    with torch.device("meta"):
        network = GenericUNet(network_plan)
    heads = tuple(f"seg_outputs.{stage}." for stage in range(len(network_plan.strides) - 1))
    load_weights(network, {name: t for name, t in weights.items() if not name.startswith(heads)}, path)
    return network


class GenericUNet(nn.Module):
    """A U-Net with strided and transposed convolutions."""

    def __init__(self, network_plan: NetworkPlan) -> None:
        super().__init__()
        features = [
            min(network_plan.base_features * 2**stage, MAX_FEATURES)
            for stage in range(len(network_plan.kernels))
        ]
        rest = network_plan.convolutions - 1
        inputs = (network_plan.inputs, *features[:-1])
        strides = ((1, 1, 1), *network_plan.strides)
        *stages, bottom = zip(inputs, features, network_plan.kernels, strides, strict=True)
        self.conv_blocks_context = nn.ModuleList(
            _stack(before, after, network_plan.convolutions, kernel, stride)
            for before, after, kernel, stride in stages
        )
        before, after, kernel, stride = bottom
        self.conv_blocks_context.append(
            nn.Sequential(_stack(before, after, rest, kernel, stride), _stack(after, after, 1, kernel))
        )

        self.tu = nn.ModuleList()
        self.conv_blocks_localization = nn.ModuleList()
        # Upwards the original takes each kernel one stage late: the first is the bottom's.
        upwards = zip(
            features[:0:-1],
            features[-2::-1],
            network_plan.strides[::-1],
            network_plan.kernels[:0:-1],
            strict=True,
        )
        for below, skip, stride, kernel in upwards:
            self.tu.append(nn.ConvTranspose3d(below, skip, stride, stride, bias=False))
            self.conv_blocks_localization.append(
                nn.Sequential(_stack(2 * skip, skip, rest, kernel), _stack(skip, skip, 1, kernel))
            )
        head = nn.Conv3d(features[0], network_plan.classes, 1, bias=False)
        self.seg_outputs = nn.ModuleDict({str(len(network_plan.strides) - 1): head})

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """Logits (B, K, Z, Y, X) of tiles (B, C, Z, Y, X)."""
        x, skips = tiles, []
        for block in self.conv_blocks_context:
            x = block(x)
            skips.append(x)
        skips.pop()
        for up, block in zip(self.tu, self.conv_blocks_localization, strict=True):
            x = block(torch.cat((up(x), skips.pop()), dim=1))
        (head,) = self.seg_outputs.values()
        return head(x)


def _stack(inputs: int, outputs: int, count: int, kernel: Triple, stride: Triple = (1, 1, 1)) -> nn.Module:
    """Convolutions one after the other, at least one, the first with a stride."""
    first = _convolution(inputs, outputs, kernel, stride)
    others = (_convolution(outputs, outputs, kernel, (1, 1, 1)) for _ in range(count - 1))
    return nn.Sequential(OrderedDict(blocks=nn.Sequential(first, *others)))


def _convolution(inputs: int, outputs: int, kernel: Triple, stride: Triple) -> nn.Module:
    a, b, c = (size // 2 for size in kernel)
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv3d(inputs, outputs, kernel, stride, padding=(a, b, c)),
            instnorm=nn.InstanceNorm3d(outputs, eps=1e-5, affine=True),
            lrelu=nn.LeakyReLU(1e-2),
        )
    )
