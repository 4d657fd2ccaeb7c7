"""nnU-Net v2's `dataset.json`: the names of the image channels and of the labels."""

from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from common.documents import OPEN, read_document
from common.errors import ModelError

TRAINED_FOLDER = "--checkpoint takes the folder that nnU-Net trained into"
IGNORE = "ignore"
"""nnU-Net's name of the label of voxels that the training passed over: the highest, and never predicted."""


@dataclass(frozen=True, config=OPEN)
class Dataset:
    """What inference needs of it."""

    channel_names: dict[str, str]
    """By the channel's number, as text."""
    labels: dict[str, int | tuple[int, ...]]
    """Name → number in the mask, or numbers in region-based training."""
    regions_class_order: Any = None

    def __post_init__(self) -> None:
        names = self.channel_names
        if set(names) != {str(index) for index in range(len(names))}:
            raise ValueError(f'found channel_names {names}, expected {{"0": "CT", "1": "PET"}} or alike')

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the image channels, in the network's order."""
        return tuple(self.channel_names[str(index)] for index in range(len(self.channel_names)))


def read_dataset(folder: Path) -> Dataset:
    """Read the `dataset.json` of a trained folder; raises `ModelError` for one that is missing or broken."""
    return read_document(
        Dataset,
        folder / "dataset.json",
        failure=ModelError,
        remedy="expected the one that nnU-Net v2 wrote beside the checkpoint",
        missing=TRAINED_FOLDER,
    )


def foreground_labels(folder: Path, classes: int) -> tuple[str, ...]:
    """Names of the labels 1, 2, … of a network that tells so many classes apart, background included.

    Raises `ModelError` for region-based training, and for labels that are not those of the network's classes:
    one for each, from 0, without gaps. The label `ignore` may follow; it is left out.
    """
    path, dataset = folder / "dataset.json", read_dataset(folder)
    numbers = {name: number for name, number in dataset.labels.items() if isinstance(number, int)}
    if dataset.regions_class_order is not None or len(numbers) < len(dataset.labels):
        what = "labels that are lists" if dataset.regions_class_order is None else "regions_class_order"
        raise ModelError(
            f"{path}: found {what}, expected labels that exclude each other; region-based networks are not "
            "supported"
        )
    names = sorted(numbers, key=numbers.__getitem__)
    if sorted(numbers.values()) != list(range(len(numbers))) or IGNORE in names[:-1]:
        raise ModelError(
            f"{path}: found labels {numbers}, expected 0, 1, 2, … without gaps, {IGNORE} as the highest; use "
            "the dataset.json that this checkpoint was trained with"
        )
    predicted = [name for name in names if name != IGNORE]
    if len(predicted) != classes:
        raise ModelError(
            f"{path}: the network tells {classes} classes apart, expected {len(predicted)} as there are "
            f"labels ({', '.join(predicted)}); use the dataset.json that this checkpoint was trained with"
        )
    return tuple(predicted[1:])
