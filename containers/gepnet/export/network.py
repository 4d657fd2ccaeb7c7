"""GEPNet (https://github.com/zhengqian1515/GEPNet), in the configuration of its trainer.

Layers have the names of the original checkpoints. Features are (batch, channels, z, y, x), tokens (batch,
voxels, channels).
"""

import copy
import math
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.geometry import triple
from common.nnunet.resample import Shape
from containers.gepnet.export.agent_attention import ADLA
from containers.gepnet.export.deformable_attention import DeformableLargeKernelAttention
from containers.gepnet.export.voxel_pairs import FromPairs, ToPairs, on_pairs

STEM = 6
CNN_FEATURES = (12, 16)
HYBRID_FEATURES = (32, 64, 128)
DOWNSAMPLING = 2 ** len(CNN_FEATURES + HYBRID_FEATURES)


class GEPNet(nn.Module):
    """U-shaped network: two convolutional stages, then three with attention.

    Parameters
    ----------
    spatial_shape
        Patch size (z, y, x), multiples of 32; it determines the size of the position tables.
    in_channels
        1 for PET, 2 for PET and CT.
    num_classes
        Including background.

    Raises
    ------
    ValueError
        A size is not a multiple of 32.

    """

    def __init__(
        self, spatial_shape: Shape = (128, 128, 128), in_channels: int = 1, num_classes: int = 2
    ) -> None:
        super().__init__()
        if any(n % DOWNSAMPLING for n in spatial_shape):
            raise ValueError(f"{spatial_shape} voxels are no multiple of {DOWNSAMPLING} on every axis")
        self.init = nn.Sequential(
            nn.Conv3d(in_channels, STEM, 7, padding=3), nn.PReLU(), nn.BatchNorm3d(STEM)
        )
        self.cnn_encoder = ConvolutionalEncoder()
        self.hyb_encoder = HybridEncoder(spatial_shape)
        self.hyb_decoder = HybridDecoder(spatial_shape)
        self.cnn_decoder = ConvolutionalDecoder()
        self.out_skip = ResidualBlock(in_channels, STEM, 5)
        self.out = nn.Sequential(
            ResidualBlock(2 * STEM, STEM, 5), _nested(_nested(nn.Conv3d(STEM, num_classes, 1)))
        )

    @property
    def segmentation_layer(self) -> nn.Module:
        """The layer that computes the logits."""
        return self.get_submodule("out.1.conv.conv")

    def forward(self, tiles: Tensor) -> Tensor:
        """Compute the logits (B, classes, z, y, x) of tiles (B, channels, z, y, x)."""
        full = self.init(tiles)
        half, quarter = self.cnn_encoder(full)
        eighth, sixteenth, deepest = self.hyb_encoder(quarter)
        x = self.hyb_decoder(deepest, (sixteenth, eighth, quarter))
        x = self.cnn_decoder(x, (half, full))
        logits: Tensor = self.out(torch.cat([x, self.out_skip(tiles)], dim=1))
        return logits


def on_voxel_pairs(network: GEPNet) -> GEPNet:
    """Return the equivalent network for engines, in evaluation mode, with the last blocks on pairs of voxels.

    Four 5×5×5 convolutions of these blocks at full resolution take two fifths of a tile's time.
    """
    paired = copy.deepcopy(network).eval()
    paired.cnn_decoder.convs[-1] = nn.Sequential(paired.cnn_decoder.convs[-1], ToPairs())
    paired.register_module("out_skip", nn.Sequential(ToPairs(), on_pairs(network.out_skip)))
    paired.register_module("out", nn.Sequential(on_pairs(network.out), FromPairs()))
    return paired


class ConvolutionalEncoder(nn.Module):
    """The first two encoder stages."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder_blocks = DoubleGADM()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features at half and at a quarter of the resolution."""
        stages: tuple[Tensor, Tensor] = self.encoder_blocks(x)
        return stages


class HybridEncoder(nn.Module):
    """GADM downsampling, an attention block and a residual block per stage."""

    def __init__(self, spatial_shape: Shape) -> None:
        super().__init__()
        grids = [_scaled(spatial_shape, 8), _scaled(spatial_shape, 16), _scaled(spatial_shape, 32)]
        steps = list(pairwise((CNN_FEATURES[-1], *HYBRID_FEATURES)))
        self.downs = nn.ModuleList(GADM(before, after) for before, after in steps)
        self.vits = nn.ModuleList(
            nn.Sequential(AttentionBlock(features, grid))
            for features, grid in zip(HYBRID_FEATURES, grids, strict=True)
        )
        self.convs = nn.ModuleList(ResidualBlock(features, features, 3) for features in HYBRID_FEATURES)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Compute the features of every stage, the highest resolution first."""
        stages = []
        for down, attention, conv in zip(self.downs, self.vits, self.convs, strict=True):
            x = down(x)
            x = conv(x + attention(x))
            stages.append(x)
        return stages


class HybridDecoder(nn.Module):
    """Upsampling, fusion with the encoder, a residual block and an attention block per stage."""

    def __init__(self, spatial_shape: Shape) -> None:
        super().__init__()
        grids = [_scaled(spatial_shape, 16), _scaled(spatial_shape, 8), _scaled(spatial_shape, 4)]
        steps = list(pairwise((*reversed(HYBRID_FEATURES), CNN_FEATURES[-1])))
        features = [after for _, after in steps]
        self.ups = nn.ModuleList(_upsampling(before, after, 5) for before, after in steps)
        self.scafs = nn.ModuleList(SCAF(n) for n in features)
        self.convs_o = nn.ModuleList(ResidualBlock(n, n, 3) for n in features)
        self.vits = nn.ModuleList(
            nn.Sequential(AttentionBlock(n, grid)) for n, grid in zip(features, grids, strict=True)
        )

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """Compute features at a quarter of the resolution; skips start with the coarsest."""
        stages = zip(self.ups, self.scafs, self.convs_o, self.vits, skips, strict=True)
        for up, fuse, conv, attention, skip in stages:
            x = conv(fuse(up(x), skip))
            x = x + attention(x)
        return x


class ConvolutionalDecoder(nn.Module):
    """Upsampling, fusion with the encoder and a residual block per stage."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter = CNN_FEATURES
        self.ups = nn.ModuleList([_upsampling(quarter, half, 5), _upsampling(half, STEM, 7)])
        self.scafs = nn.ModuleList([SCAF(half), SCAF(STEM)])
        self.convs = nn.ModuleList([ResidualBlock(half, half, 3), ResidualBlock(STEM, STEM, 3)])

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> Tensor:
        """Compute features at full resolution; skips start with the coarsest."""
        for up, fuse, conv, skip in zip(self.ups, self.scafs, self.convs, skips, strict=True):
            x = conv(fuse(up(x), skip))
        return x


class ResidualBlock(nn.Module):
    """MONAI's `UnetResBlock` with batch norm and stride 1."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.conv1 = _nested(_same_size(in_channels, out_channels, kernel))
        self.norm1 = nn.BatchNorm3d(out_channels)
        self.conv2 = _nested(_same_size(out_channels, out_channels, kernel))
        self.norm2 = nn.BatchNorm3d(out_channels)
        self.lrelu = nn.LeakyReLU(0.01)
        self.changes_channels = in_channels != out_channels
        if self.changes_channels:
            self.conv3 = _nested(_same_size(in_channels, out_channels, 1))
            self.norm3 = nn.BatchNorm3d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map features (B, in, z, y, x) to (B, out, z, y, x)."""
        residual = self.norm3(self.conv3(x)) if self.changes_channels else x
        x = self.lrelu(self.norm1(self.conv1(x)))
        activated: Tensor = self.lrelu(self.norm2(self.conv2(x)) + residual)
        return activated


class SCAF(nn.Module):
    """Fusion of decoder and encoder features, with a gate per channel and a gate per voxel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_atten = nn.Sequential(nn.Conv3d(2 * channels, 2 * channels, 1, bias=False), nn.Sigmoid())
        self.conv_redu = nn.Conv3d(2 * channels, channels, 1, bias=False)
        self.conv1 = nn.Conv3d(channels, 1, 1)
        self.conv2 = nn.Conv3d(channels, 1, 1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Fuse two features (B, channels, z, y, x) to one of the same shape."""
        both = torch.cat([x, skip], dim=1)
        channel_gate = self.conv_atten(both.mean(dim=(2, 3, 4), keepdim=True))
        voxel_gate = torch.sigmoid(self.conv1(x) + self.conv2(skip))
        fused: Tensor = self.conv_redu(both * channel_gate) * voxel_gate
        return fused


class CutDownsampling(nn.Module):
    """GADM's lossless branch: the eight voxels of a 2×2×2 cube become channels of a pointwise convolution.

    This equals a convolution with kernel and stride 2. The input channels of the stored weights are ordered
    by x (slowest), y, z, channel.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv_fusion = nn.Conv3d(8 * in_channels, out_channels, 1)
        self.batch_norm = nn.BatchNorm3d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map features (B, in, z, y, x) to (B, out, z/2, y/2, x/2)."""
        weight = self.conv_fusion.weight.reshape(-1, 2, 2, 2, x.shape[1]).permute(0, 4, 3, 2, 1)
        halved: Tensor = self.batch_norm(functional.conv3d(x, weight, self.conv_fusion.bias, stride=2))
        return halved


class GADM(nn.Module):
    """Downsampling by three parallel branches: voxel cubes as channels, strided convolution, max pooling."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.cut_c = CutDownsampling(in_channels, out_channels)
        self.conv = nn.Conv3d(
            in_channels, out_channels, 3, padding=1, groups=math.gcd(in_channels, out_channels)
        )
        self.conv_x = _halving_depthwise(out_channels)
        self.batch_norm_x = nn.BatchNorm3d(out_channels)
        self.batch_norm_m = nn.BatchNorm3d(out_channels)
        self.fusion = nn.Conv3d(3 * out_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map features (B, in, z, y, x) to (B, out, z/2, y/2, x/2)."""
        widened = self.conv(x)
        convolved = self.batch_norm_x(functional.gelu(self.conv_x(widened)))
        maximum = self.batch_norm_m(functional.max_pool3d(widened, 2))
        fused: Tensor = self.fusion(torch.cat([self.cut_c(x), convolved, maximum], dim=1))
        return fused


class DoubleGADM(nn.Module):
    """The first two downsamplings in one module, both without activation, the first without max pooling."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter = CNN_FEATURES
        self.conv_1 = nn.Conv3d(STEM, half, 3, padding=1, groups=math.gcd(STEM, half))
        self.conv_x1 = _halving_depthwise(half)
        self.batch_norm_x1 = nn.BatchNorm3d(half)
        self.cut_c = CutDownsampling(STEM, half)
        self.fusion1 = nn.Conv3d(2 * half, half, 1)
        self.conv_2 = nn.Conv3d(half, quarter, 3, padding=1, groups=math.gcd(half, quarter))
        self.conv_x2 = _halving_depthwise(quarter)
        self.batch_norm_x2 = nn.BatchNorm3d(quarter)
        self.batch_norm_m = nn.BatchNorm3d(quarter)
        self.cut_r = CutDownsampling(half, quarter)
        self.fusion2 = nn.Conv3d(3 * quarter, quarter, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute features at half and at a quarter of the resolution."""
        convolved = self.batch_norm_x1(self.conv_x1(self.conv_1(x)))
        half = self.fusion1(torch.cat([convolved, self.cut_c(x)], dim=1))
        widened = self.conv_2(half)
        convolved = self.batch_norm_x2(self.conv_x2(widened))
        maximum = self.batch_norm_m(functional.max_pool3d(widened, 2))
        return half, self.fusion2(torch.cat([convolved, self.cut_r(half), maximum], dim=1))


class AttentionBlock(nn.Module):
    """ADLA and deformable large-kernel attention in parallel, as gates of their input features."""

    def __init__(self, channels: int, grid: Shape) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.full((1, math.prod(grid), channels), 1e-6))
        self.norm = nn.LayerNorm(channels)
        self.attn = ADLA(channels, grid)
        self.gamma = nn.Parameter(torch.ones(channels, 1, 1, 1))
        self.lka = DeformableLargeKernelAttention(channels)
        self.delta = nn.Parameter(torch.ones(channels, 1, 1, 1))
        self.bnorm = nn.BatchNorm3d(channels)
        self.conv3 = ResidualBlock(channels, channels, 3)
        self.conv1 = nn.Sequential(nn.Dropout3d(0.1), nn.Conv3d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map features (B, channels, z, y, x) to the same shape."""
        tokens = self.norm(x.flatten(2).transpose(1, 2) + self.pos_embed)
        attended = self.attn(tokens).transpose(1, 2).reshape(x.shape)
        gated = self.bnorm(x * (1 + self.delta * self.lka(x) + self.gamma * attended))
        refined: Tensor = gated + self.conv1(self.conv3(gated))
        return refined


def _scaled(shape: Shape, factor: int) -> Shape:
    return triple(size // factor for size in shape)


def _nested(layer: nn.Module) -> nn.Sequential:
    """Nest a layer as MONAI does, so that its parameters are named `conv1.conv.weight`."""
    return nn.Sequential(OrderedDict(conv=layer))


def _same_size(in_channels: int, out_channels: int, kernel: int) -> nn.Conv3d:
    return nn.Conv3d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)


def _halving_depthwise(channels: int) -> nn.Conv3d:
    return nn.Conv3d(channels, channels, 3, stride=2, padding=1, groups=channels)


def _upsampling(in_channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    doubling = nn.ConvTranspose3d(
        in_channels, out_channels, kernel, stride=2, padding=kernel // 2, output_padding=1, bias=False
    )
    return _nested(doubling)
