"""From a trained autoPET-interactive checkpoint to its model folder.

Source: MIC-DKFZ/autoPET-interactive, whose networks are nnU-Net's with two more input channels for
clicks and a second head for organs (`decoder.organ_seg_layers`) that only the training uses.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from common.errors import ModelError
from common.export.checkpoints.v2.trained_folder import (
    TrainedFolder,
    export_trained_folder,
    read_trained_folder,
)
from common.model.model import Model
from common.model.writing import new_model_folder, write_model

ALGORITHM = "autopet_interactive"
IMAGE_CHANNELS = ("CT", "PET")
CLICK_CHANNELS = ("tumor clicks", "background clicks")
SETTINGS = {"point_width": 2, "encoding": "distance"}


def export(checkpoint: Path, destination: Path, folds: Sequence[str] | None = None) -> None:
    """Write the model folder `destination` from the trained folder `checkpoint`: all folds, or those named.

    Raises `ModelError` for a checkpoint that is damaged, hostile, or not one of this algorithm.
    """
    trained = _with_names(read_trained_folder(checkpoint, folds))
    _check(trained)
    with new_model_folder(destination) as folder:
        network = export_trained_folder(
            trained, folder, added_channels=CLICK_CHANNELS, ignored_prefix="decoder.organ_seg_layers."
        )
        write_model(folder, Model(ALGORITHM, (network,), trained.source_sha256(), SETTINGS))


def _with_names(trained: TrainedFolder) -> TrainedFolder:
    """Name the image channels CT and PET, in that order.

    autoPET's own data sets call both CT, which makes nnU-Net normalise both by the training set's statistics.
    """
    if trained.image_channels not in (IMAGE_CHANNELS, ("CT", "CT")):
        raise ModelError(
            f"{trained.path / 'dataset.json'}: found channels {', '.join(trained.image_channels)}, expected "
            f"{', '.join(IMAGE_CHANNELS)}; use a checkpoint that was trained for this algorithm"
        )
    return replace(trained, plans=trained.plans.with_names(IMAGE_CHANNELS))


def _check(trained: TrainedFolder) -> None:
    if trained.classes != 2:
        raise ModelError(
            f"{trained.path}: the network tells {trained.classes} classes apart, expected 2 (background and "
            f"tumor); use a checkpoint that was trained for this algorithm"
        )
