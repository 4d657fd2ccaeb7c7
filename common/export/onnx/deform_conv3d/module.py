"""The layer with the operator: a deformable convolution that predicts its own offsets."""

from torch import Tensor, nn

from common.export.onnx.deform_conv3d.reference import deform_conv3d


class DeformConv3d(nn.Module):
    """3×3×3 deformable convolution that keeps the size; offsets start at zero (GEPNet's `DeformConvPack`)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        ordinary = nn.Conv3d(in_channels, out_channels, 3)
        self.weight, self.bias = ordinary.weight, ordinary.bias
        self.conv_offset = nn.Conv3d(in_channels, 3 * 27, 3, padding=1)
        for parameter in self.conv_offset.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Map features (N, C, D, H, W) to (N, O, D, H, W)."""
        ones = [1, 1, 1]
        return deform_conv3d(x, self.conv_offset(x), self.weight, self.bias, ones, ones, ones, 1, 1)
