"""A folder as nnU-Net v2 trained it: `plans.json`, `dataset.json`, `fold_*/checkpoint_final.pth`."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from common.errors import ModelError
from common.export.checkpoints.folds import find_folds
from common.export.checkpoints.v2.architecture import Architecture, read_architecture
from common.export.checkpoints.v2.checkpoint import CHECKPOINT_FILE, Checkpoint, read_checkpoint
from common.export.checkpoints.v2.dataset import foreground_labels
from common.export.checkpoints.v2.plans import read_configuration, read_plans
from common.export.checkpoints.weights import load_weights
from common.export.network import export_network
from common.export.onnx.parity import smallest_patch
from common.hashes import sha256_of_all
from common.inference.network import Network
from common.nnunet.plans import Plans

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedFolder:
    """What one trained configuration's folds have in common."""

    path: Path
    folds: Mapping[str, Path]
    """Fold name → checkpoint file."""
    configuration: str
    plans: Plans
    architecture: Architecture
    channels: int
    """Input channels of the network: the images', and those that an algorithm adds."""
    classes: int
    """Background included."""
    labels: tuple[str, ...]
    """Names of the classes 1, 2, …, the background left out."""
    mirror_axes: tuple[int, ...]

    @property
    def image_channels(self) -> tuple[str, ...]:
        """Names of the image channels, in the network's order."""
        return tuple(channel.name for channel in self.plans.channels)

    def source_sha256(self) -> str:
        """One hash over the plans, the data set's description and the checkpoints."""
        paths = [self.path / "plans.json", self.path / "dataset.json", *self.folds.values()]
        return sha256_of_all(self.path, paths)


def read_trained_folder(path: Path, folds: Sequence[str] | None = None) -> TrainedFolder:
    """Read what a trained folder says about its networks: all folds found, or those asked for.

    Raises `ModelError` for files that are missing, damaged or hostile, and for what is not supported:
    2D, cascaded and region-based configurations, networks and operations that nnU-Net does not use.
    """
    found = find_folds(path, CHECKPOINT_FILE, folds)
    first = read_checkpoint(next(iter(found.values())))
    logger.info("%s: %s, trained by %s, folds %s", path, first.configuration, first.trainer, ", ".join(found))
    plans = read_plans(path, first.configuration)
    architecture = read_architecture(read_configuration(path, first.configuration), path / "plans.json")
    classes = architecture.classes(first.weights)
    return TrainedFolder(
        path=path,
        folds=found,
        configuration=first.configuration,
        plans=plans,
        architecture=architecture,
        channels=architecture.channels(first.weights),
        classes=classes,
        labels=foreground_labels(path, classes),
        mirror_axes=first.mirror_axes,
    )


def export_trained_folder(
    trained: TrainedFolder,
    folder: Path,
    name: str = "segmentation",
    *,
    added_channels: Sequence[str] = (),
    ignored_prefix: str | None = None,
) -> Network:
    """Export every fold of `trained` into `folder` as the network `name`, one fold in memory at a time.

    `added_channels` names the input channels after the images'; tensors whose name starts with
    `ignored_prefix` served the training only. Raises `ModelError` where a fold's weights do not fit the
    plans or its settings differ from the first fold's.
    """
    channels = (*trained.image_channels, *added_channels)
    if len(channels) != trained.channels:
        raise ModelError(
            f"{trained.path}: the network takes {trained.channels} channels, expected {len(channels)} "
            f"({', '.join(channels)}); use a checkpoint that was trained for this algorithm"
        )
    return export_network(
        folder,
        name,
        list(trained.folds),
        lambda fold: load_fold(trained, fold, ignored_prefix),
        channels=channels,
        patch=trained.plans.patch,
        classes=trained.classes,
        parity_patch=smallest_patch(trained.plans.patch, trained.architecture.strides),
        mirror_axes=trained.mirror_axes,
        plans=trained.plans,
    )


def load_fold(trained: TrainedFolder, fold: str, ignored_prefix: str | None) -> torch.nn.Module:
    """One fold's network, set to inference; raises `ModelError` as `export_trained_folder` does."""
    logger.info("reading %s", trained.folds[fold])
    checkpoint = read_checkpoint(trained.folds[fold])
    _refuse_mixture(trained, checkpoint)
    weights = {
        name: tensor
        for name, tensor in checkpoint.weights.items()
        if ignored_prefix is None or not name.startswith(ignored_prefix)
    }
    network = trained.architecture.build(trained.channels, trained.classes)
    load_weights(network, weights, checkpoint.path)
    return network


def _refuse_mixture(trained: TrainedFolder, checkpoint: Checkpoint) -> None:
    for what, found, expected in (
        ("configuration", checkpoint.configuration, trained.configuration),
        ("mirror axes", checkpoint.mirror_axes, trained.mirror_axes),
    ):
        if found != expected:
            raise ModelError(
                f"{checkpoint.path}: found {what} {found!r}, expected {expected!r} as in the first fold; "
                f"choose folds of one training with --folds"
            )
