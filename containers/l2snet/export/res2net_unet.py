"""L2SNet's 2D localisation network: a U-Net with a Res2Net-50 encoder.

Source: Gao et al. 2021, "Res2Net", doi:10.1109/TPAMI.2019.2938758. Parameter names are those of timm's
`res2net50_26w_4s` in segmentation-models-pytorch's `Unet`, with which L2SNet was trained.
"""

from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from common.errors import ModelError
from common.export.checkpoints.safe_load import load_safely
from common.export.checkpoints.weights import load_weights, require_plain

WANTED = "a U-Net with the encoder timm-res2net50_26w_4s"
CHANNELS = 5
CLASSES = 2
STEM = 64
BLOCKS = (3, 4, 6, 3)
"""Number of residual blocks of each encoder stage."""
SCALES = 4
"""Number of channel groups of a residual block; each group also gets the output of the previous one."""
DECODER_FEATURES = (320, 256, 128, 64, 32)


def load_localiser(path: Path) -> nn.Module:
    """Load the 2D network from `epoch_*.pth`, in evaluation mode.

    The encoder's tensors may be named as in segmentation-models-pytorch before 0.4 (`encoder.conv1`) or since
    (`encoder.model.conv1`). Raises `ModelError` for a checkpoint that is missing, damaged, contains code, or
    belongs to another network.
    """
    weights = load_safely(path)
    if not isinstance(weights, dict) or not all(
        isinstance(tensor, torch.Tensor) for tensor in weights.values()
    ):
        raise ModelError(f"{path}: found no tensors by name, expected the 2D network's state_dict")
    require_plain(weights, path)
    named = {
        str(name).removeprefix("module.").replace("encoder.model.", "encoder.", 1): tensor
        for name, tensor in weights.items()
    }
    with torch.device("meta"):
        network = Localiser()
    load_weights(network, named, path, WANTED, "use the epoch_*.pth that L2SNet's 2D training left")
    return network


class Localiser(nn.Module):
    """The U-Net; rows and columns of a tile must be multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()
        head = nn.Conv2d(DECODER_FEATURES[-1], CLASSES, 3, padding=1)
        self.segmentation_head = nn.Sequential(head)

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """Compute the logits (B, 2, Y, X) of tiles (B, 5, Y, X)."""
        return self.segmentation_head(self.decoder(self.encoder(tiles)))


class Encoder(nn.Module):
    """Res2Net-50 without its classification head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(CHANNELS, STEM, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM)
        self.layer1 = _stage(0)
        self.layer2 = _stage(1)
        self.layer3 = _stage(2)
        self.layer4 = _stage(3)

    def forward(self, tiles: torch.Tensor) -> list[torch.Tensor]:
        """Compute features at 1/2, 1/4, 1/8, 1/16 and 1/32 of the tile size."""
        stem = functional.relu(self.bn1(self.conv1(tiles)))
        features = [stem, self.layer1(functional.max_pool2d(stem, 3, stride=2, padding=1))]
        for layer in (self.layer2, self.layer3, self.layer4):
            features.append(layer(features[-1]))
        return features


def _stage(index: int) -> nn.Sequential:
    inputs = STEM if index == 0 else _outputs(index - 1)
    first = Bottleneck(inputs, index, stride=1 if index == 0 else 2)
    return nn.Sequential(first, *(Bottleneck(_outputs(index), index) for _ in range(BLOCKS[index] - 1)))


def _outputs(stage: int) -> int:
    return 256 * 2**stage


class Bottleneck(nn.Module):
    """A residual block whose 3×3 convolution is split into groups of channels.

    The first block of a stage has a `stride`, and its groups are independent of each other.
    """

    def __init__(self, inputs: int, stage: int, stride: int | None = None) -> None:
        super().__init__()
        width, outputs, step = 26 * 2**stage, _outputs(stage), stride or 1
        self.conv1 = nn.Conv2d(inputs, SCALES * width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(SCALES * width)
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, step, 1, bias=False) for _ in range(SCALES - 1))
        self.bns = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(SCALES - 1))
        self.conv3 = nn.Conv2d(SCALES * width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.first = stride is not None
        self.pool: nn.Module = nn.Identity()
        self.downsample: nn.Module = nn.Identity()
        if self.first:
            self.pool = nn.AvgPool2d(3, step, padding=1)
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, step, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute features at 1/stride of the size."""
        *groups, last = functional.relu(self.bn1(self.conv1(x))).chunk(SCALES, dim=1)
        results: list[torch.Tensor] = []
        for group, conv, bn in zip(groups, self.convs, self.bns, strict=True):
            alone = self.first or not results
            results.append(functional.relu(bn(conv(group if alone else group + results[-1]))))
        joined = torch.cat([*results, self.pool(last)], dim=1)
        return functional.relu(self.bn3(self.conv3(joined)) + self.downsample(x))


class Decoder(nn.Module):
    """Five upsamplings by 2, the first four with skip connections from the encoder."""

    def __init__(self) -> None:
        super().__init__()
        skips = (*(_outputs(stage) for stage in (2, 1, 0)), STEM, 0)
        inputs = (_outputs(3), *DECODER_FEATURES[:-1])
        self.blocks = nn.ModuleList(
            nn.Sequential(
                OrderedDict(conv1=_convolution(below + skip, after), conv2=_convolution(after, after))
            )
            for below, skip, after in zip(inputs, skips, DECODER_FEATURES, strict=True)
        )

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        """Compute features of the tile size."""
        x = features.pop()
        for block in self.blocks:
            doubled = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = block(torch.cat([doubled, features.pop()], dim=1) if features else doubled)
        return x


def _convolution(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )
