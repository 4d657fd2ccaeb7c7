"""The network that an nnU-Net v2 configuration describes, built from names this package knows."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from dataclasses import dataclass as plain_dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from common.documents import OPEN, STRICT, DocumentError, check
from common.errors import ModelError
from common.export.checkpoints.v2.layers import LAYERS, keywords

FIRST_CONVOLUTION = {
    "PlainConvUNet": "encoder.stages.0.0.convs.0.conv.weight",
    "ResidualEncoderUNet": "encoder.stem.convs.0.conv.weight",
}

# The upper limits are far above any network's; they keep torch from failing on sizes that it cannot count.
Few = Annotated[int, Field(ge=1, le=100)]
Features = Annotated[int, Field(ge=1, le=10_000)]
Sizes = tuple[Few, Few, Few]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _Arguments:
    """What both classes of networks take, checked so far that they cannot fail: every list has its length."""

    for_each_stage: ClassVar[tuple[str, ...]] = ("features_per_stage", "kernel_sizes", "strides")
    n_stages: Annotated[Few, Field(ge=2)]
    features_per_stage: tuple[Features, ...]
    conv_op: str
    kernel_sizes: tuple[Sizes, ...]
    strides: tuple[Sizes, ...]
    n_conv_per_stage_decoder: tuple[Few, ...]
    conv_bias: bool = False
    norm_op: str | None = None
    norm_op_kwargs: dict[str, Any] | None = None
    dropout_op: str | None = None
    dropout_op_kwargs: dict[str, Any] | None = None
    nonlin: str | None = None
    nonlin_kwargs: dict[str, Any] | None = None
    deep_supervision: bool = False

    def __post_init__(self) -> None:
        lengths = dict.fromkeys(self.for_each_stage, self.n_stages)
        for name, length in {**lengths, "n_conv_per_stage_decoder": self.n_stages - 1}.items():
            found = len(getattr(self, name))
            if found != length:
                raise ValueError(f"found {found} {name}, expected {length} as n_stages is {self.n_stages}")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _PlainArguments(_Arguments):
    for_each_stage = (*_Arguments.for_each_stage, "n_conv_per_stage")
    n_conv_per_stage: tuple[Few, ...]
    nonlin_first: bool = False


@dataclass(frozen=True, kw_only=True, config=STRICT)
class _ResidualArguments(_Arguments):
    for_each_stage = (*_Arguments.for_each_stage, "n_blocks_per_stage")
    n_blocks_per_stage: tuple[Few, ...]
    stem_channels: Features | None = None


@dataclass(frozen=True, config=OPEN)
class _Entry:
    network_class_name: str
    arch_kwargs: dict[str, Any]
    kw_requires_import: tuple[str, ...] = Field(alias="_kw_requires_import")
    """Arguments that are the names of layers."""


@dataclass(frozen=True, config=OPEN)
class _OldConfiguration:
    """What stood in the place of `architecture` before nnU-Net 2.3."""

    UNet_class_name: str
    UNet_base_num_features: Features
    unet_max_num_features: Features
    n_conv_per_stage_encoder: tuple[int, ...]
    n_conv_per_stage_decoder: tuple[int, ...]
    conv_kernel_sizes: tuple[tuple[int, ...], ...]
    pool_op_kernel_sizes: tuple[tuple[int, ...], ...]
    patch_size: tuple[int, ...]


NETWORKS: dict[str, tuple[type[nn.Module], type[_Arguments]]] = {
    "PlainConvUNet": (PlainConvUNet, _PlainArguments),
    "ResidualEncoderUNet": (ResidualEncoderUNet, _ResidualArguments),
}


@plain_dataclass(frozen=True)
class Architecture:
    """A network class of `dynamic-network-architectures` and what to call it with."""

    source: Path
    """The plans, for messages."""
    name: str
    arguments: Mapping[str, Any]

    @property
    def strides(self) -> list[list[int]]:
        """Of every stage, per axis."""
        return [list(stride) for stride in self.arguments["strides"]]

    def channels(self, weights: Mapping[str, torch.Tensor]) -> int:
        """Input channels, as the first convolution has them; `ModelError` if that is not there."""
        return self._size(weights, FIRST_CONVOLUTION[self.name], 1)

    def classes(self, weights: Mapping[str, torch.Tensor]) -> int:
        """Classes, as the last segmentation layer has them; `ModelError` if that is not there."""
        last = self.arguments["n_stages"] - 2
        return self._size(weights, f"decoder.seg_layers.{last}.weight", 0)

    def build(self, channels: int, classes: int) -> nn.Module:
        """The network without weights, on the meta device, giving one output at full resolution."""
        network, _ = NETWORKS[self.name]
        with torch.device("meta"):
            return network(
                **{**self.arguments, "deep_supervision": False},
                input_channels=channels,
                num_classes=classes,
            )

    def _size(self, weights: Mapping[str, torch.Tensor], name: str, axis: int) -> int:
        if name not in weights or weights[name].ndim <= axis:
            raise ModelError(
                f"{self.source}: describes a {self.name} of {self.arguments['n_stages']} stages, but the "
                f"checkpoint lacks its tensor {name}; use the plans that the checkpoint was trained with"
            )
        return weights[name].shape[axis]


def read_architecture(configuration: Mapping[str, Any], source: Path) -> Architecture:
    """The architecture in the plans' entries of one configuration, also in those of nnU-Net before 2.3.

    Raises `ModelError`, naming the plans `source`, for classes that nnU-Net itself does not use (a name
    in the plans is looked up in this package's tables, never imported), and for arguments that the network's
    class does not take.
    """
    try:
        entry = check(_Entry, configuration.get("architecture") or _entry_of_old_plans(configuration))
        name = entry.network_class_name.rpartition(".")[2]
        if name not in NETWORKS:
            raise _unsupported(source, "network_class_name", entry.network_class_name, NETWORKS)
        for key in entry.kw_requires_import:
            if key not in LAYERS:
                raise _unsupported(source, key, entry.arch_kwargs.get(key), ())
        arguments = asdict(check(NETWORKS[name][1], entry.arch_kwargs))
        return Architecture(source, name, arguments | _layers(source, arguments))
    except DocumentError as error:
        raise ModelError(
            f"{source}: the architecture cannot be built ({error}); "
            f"use the plans that nnU-Net v2 wrote beside the checkpoint"
        ) from error


def _layers(source: Path, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are layers in the place of their names, and those that these are called with."""
    layers: dict[str, Any] = {}
    for key, known in LAYERS.items():
        name = arguments[key]
        if name is None:
            continue
        prefix, _, layer = name.rpartition(".")
        if not f"{prefix}.".startswith("torch.nn.") or layer not in known:
            raise _unsupported(source, key, name, known)
        layers[key] = known[layer]
        if key != "conv_op":
            layers[f"{key}_kwargs"] = keywords(known[layer], arguments[f"{key}_kwargs"], f"{key}_kwargs")
    return layers


def _unsupported(source: Path, key: str, found: str | None, known: Collection[str]) -> ModelError:
    return ModelError(
        f"{source}: found {key} {found!r}, supported are {', '.join(sorted(known)) or 'none'}; "
        f"this checkpoint cannot be exported"
    )


def _entry_of_old_plans(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """What older plans leave to the code (`nnunetv2/utilities/plans_handling/plans_handler.py`)."""
    old = check(_OldConfiguration, configuration)
    name, depths, dimension = old.UNet_class_name, old.n_conv_per_stage_encoder, len(old.patch_size)
    base, most = old.UNet_base_num_features, old.unet_max_num_features
    return {
        "network_class_name": name,
        "arch_kwargs": {
            "n_stages": len(depths),
            "features_per_stage": [min(base * 2**stage, most) for stage in range(len(depths))],
            "conv_op": f"torch.nn.Conv{dimension}d",
            "kernel_sizes": old.conv_kernel_sizes,
            "strides": old.pool_op_kernel_sizes,
            "n_conv_per_stage" if name == "PlainConvUNet" else "n_blocks_per_stage": depths,
            "n_conv_per_stage_decoder": old.n_conv_per_stage_decoder,
            "conv_bias": True,
            "norm_op": f"torch.nn.InstanceNorm{dimension}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "nonlin"],
    }
