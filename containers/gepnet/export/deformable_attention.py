"""Deformable large-kernel attention (Azad et al. 2024, "Beyond Self-Attention"), in the form of GEPNet."""

from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from common.export.onnx.deform_conv3d.module import DeformConv3d


class DeformableLargeKernelAttention(nn.Module):
    """Features multiplied by a gate computed from a large neighbourhood."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj_1 = nn.Conv3d(channels, channels, 1)
        self.spatial_gating_unit = LargeKernelGate(channels)
        self.proj_2 = nn.Conv3d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map features (B, channels, z, y, x) to the same shape."""
        x = functional.gelu(self.proj_1(x))
        projected: Tensor = self.proj_2(x * self.spatial_gating_unit(x))
        return projected


class LargeKernelGate(nn.Module):
    """The gate: depthwise, dilated depthwise, deformable and pointwise convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        depthwise = partial(_depthwise, channels)
        if channels <= 32:
            self.conv0, self.conv_spatial = depthwise(5), depthwise(7, dilation=3)
        elif channels <= 64:
            self.conv0, self.conv_spatial = depthwise(5), depthwise(5, dilation=3)
        else:
            self.conv0, self.conv_spatial = depthwise(3), depthwise(3, dilation=2)
        self.deform_conv = DeformConv3d(channels, channels)
        self.conv1 = nn.Conv3d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map features (B, channels, z, y, x) to the same shape."""
        gate: Tensor = x * self.conv1(self.deform_conv(self.conv_spatial(self.conv0(x))))
        return gate


def _depthwise(channels: int, kernel: int, dilation: int = 1) -> nn.Conv3d:
    padding = dilation * (kernel - 1) // 2
    return nn.Conv3d(channels, channels, kernel, padding=padding, dilation=dilation, groups=channels)
