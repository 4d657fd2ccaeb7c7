"""One fold's checkpoint as nnU-Net v2 leaves it: `fold_*/checkpoint_final.pth`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

from common.documents import excerpt
from common.errors import ModelError
from common.export.checkpoints.safe_load import load_safely
from common.export.checkpoints.weights import require_plain

CHECKPOINT_FILE = "checkpoint_final.pth"

T = TypeVar("T")


@dataclass(frozen=True)
class Checkpoint:
    """What inference needs of one fold's checkpoint."""

    path: Path
    weights: dict[str, torch.Tensor]
    configuration: str
    """nnU-Net's name of the plans' configuration, such as `"3d_fullres"`."""
    trainer: str
    mirror_axes: tuple[int, ...]
    """Axes of the tile along which the training allows mirroring."""


def read_checkpoint(path: Path) -> Checkpoint:
    """One fold's checkpoint, read without running anything in it.

    Raises `ModelError` for a file that `load_safely` refuses, or that is not nnU-Net v2's.
    """
    document = _entry(path, load_safely(path), dict, "the checkpoint")
    weights = _entry(path, document.get("network_weights"), dict, "network_weights")
    arguments = _entry(path, document.get("init_args"), dict, "init_args")
    return Checkpoint(
        path=path,
        weights=_tensors(path, weights),
        configuration=_entry(path, arguments.get("configuration"), str, "init_args.configuration"),
        trainer=_entry(path, document.get("trainer_name"), str, "trainer_name"),
        mirror_axes=_mirror_axes(path, document.get("inference_allowed_mirroring_axes")),
    )


def _entry(path: Path, value: object, kind: type[T], name: str) -> T:
    if not isinstance(value, kind):
        raise ModelError(
            f"{path}: {name} is a {type(value).__name__}, expected a {kind.__name__}; "
            f"use a checkpoint as nnU-Net v2 left it"
        )
    return value


def _tensors(path: Path, weights: Mapping[object, object]) -> dict[str, torch.Tensor]:
    """The weights under the names that the bare network gives them, without DDP's and torch.compile's."""
    tensors = {}
    for name, tensor in weights.items():
        bare = re.sub(r"^((module|_orig_mod)\.)+", "", _entry(path, name, str, "a name in network_weights"))
        tensors[bare] = _entry(path, tensor, torch.Tensor, f"network_weights[{excerpt(name)}]")
    require_plain(tensors, path)
    return tensors


def _mirror_axes(path: Path, axes: object) -> tuple[int, ...]:
    if axes is None:
        return ()
    if not isinstance(axes, list | tuple) or any(not _is_axis(axis) for axis in axes):
        raise ModelError(
            f"{path}: found inference_allowed_mirroring_axes {excerpt(axes)}, expected some of 0, 1, 2; "
            f"use a checkpoint as nnU-Net v2 left it"
        )
    return tuple(sorted(set(axes)))


def _is_axis(value: object) -> bool:
    return type(value) is int and value in (0, 1, 2)
