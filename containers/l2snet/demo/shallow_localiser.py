"""A shallow version of L2SNet's 2D network, for a demo checkpoint that is small and fast to train.

It computes the same as the full network with zero weights in the omitted layers: with zero weights, a
residual block passes its input through, and any other layer outputs zeros.
"""

import torch
from torch import nn

from containers.l2snet.export.res2net_unet import DECODER_FEATURES, Localiser


class ShallowLocaliser(Localiser):
    """The network with one block in the first two encoder stages and none in the others."""

    def __init__(self) -> None:
        super().__init__()
        encoder = self.encoder
        encoder.layer1, encoder.layer2 = nn.Sequential(encoder.layer1[0]), nn.Sequential(encoder.layer2[0])
        encoder.layer3 = nn.Sequential(Zeros(1024, stride=2))
        encoder.layer4 = nn.Sequential(Zeros(2048, stride=2))
        self.decoder.blocks[0] = Zeros(DECODER_FEATURES[0])


class Zeros(nn.Module):
    """Features of zeros, at 1/stride of the input size."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.channels, self.stride = channels, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return zeros (B, channels, Y, X)."""
        height, width = (-(-size // self.stride) for size in x.shape[2:])
        return x.new_zeros(len(x), self.channels, height, width)


def full_state_dict(shallow: nn.Module) -> dict[str, torch.Tensor]:
    """Return the weights of the full network: those of `shallow`, and zeros elsewhere."""
    with torch.device("meta"):
        full = Localiser().state_dict()
    return {
        name: torch.zeros_like(tensor, device="cpu") for name, tensor in full.items()
    } | shallow.state_dict()
