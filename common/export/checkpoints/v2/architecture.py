"""The network that an nnU-Net v2 configuration describes, built from names this package knows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch import nn

from common.errors import ModelError

NETWORKS: dict[str, type[nn.Module]] = {
    "PlainConvUNet": PlainConvUNet,
    "ResidualEncoderUNet": ResidualEncoderUNet,
}
FIRST_CONVOLUTION = {
    "PlainConvUNet": "encoder.stages.0.0.convs.0.conv.weight",
    "ResidualEncoderUNet": "encoder.stem.convs.0.conv.weight",
}
OPERATIONS: dict[str, tuple[type[nn.Module], ...]] = {
    "conv_op": (nn.Conv2d, nn.Conv3d),
    "norm_op": (nn.InstanceNorm2d, nn.InstanceNorm3d, nn.BatchNorm2d, nn.BatchNorm3d),
    "dropout_op": (nn.Dropout, nn.Dropout2d, nn.Dropout3d),
    "nonlin": (nn.LeakyReLU, nn.ReLU, nn.GELU, nn.SiLU),
}
MALFORMED = (LookupError, TypeError, ValueError, AttributeError, AssertionError, RuntimeError)


@dataclass(frozen=True)
class Architecture:
    """A network class of `dynamic-network-architectures` and what to call it with."""

    source: Path
    """The plans, for messages."""
    name: str
    arguments: Mapping[str, Any]

    @property
    def strides(self) -> list[list[int]]:
        """Of every stage, per axis."""
        dimensions = 3 if self.arguments["conv_op"] is nn.Conv3d else 2
        return [
            [stride] * dimensions if isinstance(stride, int) else list(stride)
            for stride in self.arguments["strides"]
        ]

    def channels(self, weights: Mapping[str, torch.Tensor]) -> int:
        """Input channels, as the first convolution has them; `ModelError` if that is not there."""
        return self._size(weights, FIRST_CONVOLUTION[self.name], 1)

    def classes(self, weights: Mapping[str, torch.Tensor]) -> int:
        """Classes, as the last segmentation layer has them; `ModelError` if that is not there."""
        last = self.arguments["n_stages"] - 2
        return self._size(weights, f"decoder.seg_layers.{last}.weight", 0)

    def build(self, channels: int, classes: int) -> nn.Module:
        """The network without weights, on the meta device, giving one output at full resolution.

        Raises `ModelError` for arguments that the network's class does not take.
        """
        try:
            with torch.device("meta"):
                return NETWORKS[self.name](
                    **{**self.arguments, "deep_supervision": False},
                    input_channels=channels,
                    num_classes=classes,
                )
        except MALFORMED as error:
            raise _malformed(self.source, error) from error

    def _size(self, weights: Mapping[str, torch.Tensor], name: str, axis: int) -> int:
        if name not in weights or weights[name].ndim <= axis:
            raise ModelError(
                f"{self.source}: describes a {self.name} of {self.arguments['n_stages']} stages, but the "
                f"checkpoint lacks its tensor {name}; use the plans that the checkpoint was trained with"
            )
        return weights[name].shape[axis]


def read_architecture(configuration: Mapping[str, Any], source: Path) -> Architecture:
    """The architecture in the plans' entries of one configuration, also in those of nnU-Net before 2.3.

    Raises `ModelError`, naming the plans `source`, for classes that nnU-Net itself does not use: a name
    in the plans is looked up in this module's tables, never imported.
    """
    try:
        entry = configuration.get("architecture") or _architecture_of_old_plans(configuration)
        name = entry["network_class_name"].rpartition(".")[2]
        if name not in NETWORKS:
            raise _unsupported(source, "network_class_name", entry["network_class_name"], NETWORKS)
        arguments = dict(entry["arch_kwargs"])
        for key in entry["_kw_requires_import"]:
            arguments[key] = _operation(source, key, arguments[key])
        return Architecture(source, name, {**arguments, "n_stages": int(arguments["n_stages"])})
    except MALFORMED as error:
        raise _malformed(source, error) from error


def _operation(source: Path, key: str, name: str | None) -> type[nn.Module] | None:
    if name is None:
        return None
    known = {operation.__name__: operation for operation in OPERATIONS.get(key, ())}
    operation = name.rpartition(".")[2]
    if not name.startswith("torch.nn.") or operation not in known:
        raise _unsupported(source, key, name, known)
    return known[operation]


def _unsupported(source: Path, key: str, found: str, known: Collection[str]) -> ModelError:
    return ModelError(
        f"{source}: found {key} {found!r}, supported are {', '.join(sorted(known)) or 'none'}; "
        f"this checkpoint cannot be exported"
    )


def _malformed(source: Path, error: Exception) -> ModelError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return ModelError(
        f"{source}: the architecture cannot be built ({reason}); "
        f"use the plans that nnU-Net v2 wrote beside the checkpoint"
    )


def _architecture_of_old_plans(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """What older plans leave to the code (`nnunetv2/utilities/plans_handling/plans_handler.py`)."""
    name = configuration["UNet_class_name"]
    depths = configuration["n_conv_per_stage_encoder"]
    dimension = len(configuration["patch_size"])
    base, most = configuration["UNet_base_num_features"], configuration["unet_max_num_features"]
    return {
        "network_class_name": name,
        "arch_kwargs": {
            "n_stages": len(depths),
            "features_per_stage": [min(base * 2**stage, most) for stage in range(len(depths))],
            "conv_op": f"torch.nn.Conv{dimension}d",
            "kernel_sizes": configuration["conv_kernel_sizes"],
            "strides": configuration["pool_op_kernel_sizes"],
            "n_conv_per_stage" if name == "PlainConvUNet" else "n_blocks_per_stage": depths,
            "n_conv_per_stage_decoder": configuration["n_conv_per_stage_decoder"],
            "conv_bias": True,
            "norm_op": f"torch.nn.InstanceNorm{dimension}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "nonlin"],
    }
