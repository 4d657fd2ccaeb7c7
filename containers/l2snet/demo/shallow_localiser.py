"""L2SNet's 2D network without its depth, for a checkpoint that is small and quickly trained.

What is left out adds nothing: with zeros for weights, a residual block hands its input on and any other layer
gives zeros. So the whole network with zeros in these places computes the same.
"""

import torch
from torch import nn

from containers.l2snet.export.res2net_unet import DECODER, Localiser


class ShallowLocaliser(Localiser):
    """The network with one block in the encoder's first two stages, none in the others."""

    def __init__(self) -> None:
        super().__init__()
        encoder = self.encoder
        encoder.layer1, encoder.layer2 = nn.Sequential(encoder.layer1[0]), nn.Sequential(encoder.layer2[0])
        encoder.layer3 = nn.Sequential(Zeros(1024, stride=2))
        encoder.layer4 = nn.Sequential(Zeros(2048, stride=2))
        self.decoder.blocks[0] = Zeros(DECODER[0])


class Zeros(nn.Module):
    """Feature maps of zeros, at the size of the input less by the stride."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.channels, self.stride = channels, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Zeros (B, channels, Y, X)."""
        height, width = (-(-size // self.stride) for size in x.shape[2:])
        return x.new_zeros(len(x), self.channels, height, width)


def whole_state(shallow: nn.Module) -> dict[str, torch.Tensor]:
    """Weights of the whole network: those of `shallow`, and zeros."""
    with torch.device("meta"):
        whole = Localiser().state_dict()
    return {
        name: torch.zeros_like(tensor, device="cpu") for name, tensor in whole.items()
    } | shallow.state_dict()
