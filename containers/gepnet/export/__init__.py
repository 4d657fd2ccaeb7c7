"""Export of a trained GEPNet checkpoint to a model folder."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from common.export.checkpoints.folds import find_folds
from common.export.checkpoints.v1.checkpoint import CHECKPOINT_FILE
from common.export.checkpoints.v1.plans import MIRROR_AXES, find_plans
from common.export.checkpoints.v1.postprocessing import read_postprocessing
from common.export.network import export_network
from common.hashes import sha256_of_all
from common.model.model import Model
from common.model.writing import new_model_folder, write_model
from containers.gepnet.export.checkpoint import CLASSES, load_network, read_plans
from containers.gepnet.export.network import on_voxel_pairs

ALGORITHM = "gepnet"
PLANS_HINT = "copy one of them from the training, or give the plans as JSON with --plans FILE"


def export(
    checkpoint: Path,
    destination: Path,
    folds: Sequence[str] | None = None,
    plans: Path | None = None,
) -> None:
    """Export a trained folder to a model folder.

    Parameters
    ----------
    checkpoint
        Trained folder, with a subfolder for every fold.
    destination
        Model folder to create.
    folds
        Names of the folds to export; by default all.
    plans
        A file used instead of the folder's plans, usually JSON. By default `plans.pkl`, or if that is
        missing the `.pkl` file next to the first fold's checkpoint.

    Raises
    ------
    ModelError
        The checkpoint is damaged, malicious, or belongs to another algorithm.

    """
    found = find_folds(checkpoint, CHECKPOINT_FILE, folds)
    plans_file = plans or find_plans(checkpoint, next(iter(found.values())), PLANS_HINT)
    plan = read_plans(plans_file)
    postprocessing = read_postprocessing(checkpoint)
    source = sha256_of_all(checkpoint, [plans_file, *found.values()])
    with new_model_folder(destination) as folder:
        network = export_network(
            folder,
            "segmentation",
            list(found),
            lambda fold: load_network(plan, found[fold]),
            channels=[channel.name for channel in plan.channels],
            patch=plan.patch,
            classes=CLASSES,
            mirror_axes=MIRROR_AXES,
            plans=plan,
            arrange=on_voxel_pairs,
        )
        write_model(folder, Model(ALGORITHM, (network,), source, asdict(postprocessing)))
