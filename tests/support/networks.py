"""Small networks of every architecture, with random weights, as ONNX files."""

from collections.abc import Callable
from pathlib import Path

import torch
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet
from torch import nn

from common.demo.training import seeded
from common.export.onnx.write import write_onnx
from containers.gepnet.export.network import GEPNet, on_voxel_pairs
from containers.l2snet.export.res2net_unet import Localiser


def _residual() -> nn.Module:
    return ResidualEncoderUNet(
        input_channels=4,
        n_stages=3,
        features_per_stage=[8, 16, 32],
        conv_op=nn.Conv3d,
        kernel_sizes=3,
        strides=[1, 2, 2],
        n_blocks_per_stage=1,
        num_classes=2,
        n_conv_per_stage_decoder=1,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    )


def _grouped() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(6, 12, 3, padding=1, groups=6),
        nn.LeakyReLU(),
        nn.Conv3d(12, 12, 3, padding=2, dilation=2, groups=3, bias=False),
        nn.Conv3d(12, 16, 1, groups=2),
        nn.Conv3d(16, 2, 3, padding=1, groups=2),
    )


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "grouped": (_grouped, (6, 6, 8, 10)),
    "residual": (_residual, (4, 16, 16, 24)),
    "localiser": (Localiser, (5, 64, 64)),
    "gepnet": (lambda: GEPNet((32, 32, 32)), (1, 32, 32, 32)),
}


def write_network(name: str, path: Path) -> None:
    make, tile_shape = NETWORKS[name]
    network = seeded(make, 0).eval()
    with torch.no_grad():
        write_onnx(on_voxel_pairs(network) if isinstance(network, GEPNet) else network, path, tile_shape)
