"""torch's layers that nnU-Net v2's plans may name, and what they may be called with."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from common.documents import STRICT, check


@dataclass(frozen=True, config=STRICT)
class _Normalisation:
    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = False
    track_running_stats: bool = False


@dataclass(frozen=True, config=STRICT)
class _BatchNormalisation(_Normalisation):
    affine: bool = True
    track_running_stats: bool = True


@dataclass(frozen=True, config=STRICT)
class _Dropout:
    p: Annotated[float, Field(ge=0, le=1)] = 0.5
    inplace: bool = False


@dataclass(frozen=True, config=STRICT)
class _Activation:
    inplace: bool = False


@dataclass(frozen=True, config=STRICT)
class _LeakyActivation(_Activation):
    negative_slope: float = 0.01


@dataclass(frozen=True, config=STRICT)
class _GELU:
    approximate: Literal["none", "tanh"] = "none"


KEYWORDS: dict[type[nn.Module], type[Any]] = {
    nn.InstanceNorm3d: _Normalisation,
    nn.BatchNorm3d: _BatchNormalisation,
    nn.Dropout: _Dropout,
    nn.Dropout2d: _Dropout,
    nn.Dropout3d: _Dropout,
    nn.LeakyReLU: _LeakyActivation,
    nn.ReLU: _Activation,
    nn.SiLU: _Activation,
    nn.GELU: _GELU,
}
"""What a layer takes, with torch's defaults."""


def _named(*layers: type[nn.Module]) -> dict[str, type[nn.Module]]:
    return {layer.__name__: layer for layer in layers}


LAYERS = {
    "conv_op": _named(nn.Conv3d),
    "norm_op": _named(nn.InstanceNorm3d, nn.BatchNorm3d),
    "dropout_op": _named(nn.Dropout, nn.Dropout2d, nn.Dropout3d),
    "nonlin": _named(nn.LeakyReLU, nn.ReLU, nn.GELU, nn.SiLU),
}
"""Argument of the network's class → the layers that it may be, by name."""


def keywords(layer: type[nn.Module], given: dict[str, Any] | None, where: str) -> dict[str, Any]:
    """What a layer is called with; raises `DocumentError` for what it does not take, below `where`."""
    return asdict(check(KEYWORDS[layer], given or {}, where))
