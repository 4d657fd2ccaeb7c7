"""nnU-Net v1's plans as plain JSON, for checkpoints that come without their `plans.pkl`.

The document holds only what inference needs, under the names that `plans.pkl` has for it. Every entry says
where its value is from, and whether that is uncertain. containers/gepnet/plans/ecpc_ids.json is one.
"""

import logging
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic.dataclasses import dataclass

from common.documents import STRICT, read_document
from common.errors import ModelError

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, config=STRICT)
class _Entry(Generic[T]):
    """What the plans say of one thing."""

    value: T
    source: str
    """Where the value is from."""
    uncertain: bool = False
    """The source does not settle it."""


@dataclass(frozen=True, config=STRICT)
class _Intensities:
    """Of the training set's foreground, in the image's own unit (HU, SUV)."""

    mean: float
    sd: float
    percentile_00_5: float
    percentile_99_5: float


@dataclass(frozen=True, config=STRICT)
class _Modality:
    name: _Entry[str]
    normalization_scheme: _Entry[str]
    use_mask_for_norm: _Entry[bool]
    intensityproperties: _Entry[_Intensities] | None = None
    """Needed by the schemes CT and CT2."""

    def __post_init__(self) -> None:
        scheme = self.normalization_scheme.value
        if scheme in ("CT", "CT2") and self.intensityproperties is None:
            raise ValueError(f"found normalization_scheme {scheme!r} without intensityproperties")


@dataclass(frozen=True, config=STRICT)
class _Document:
    about: str
    """Which weights these plans are for."""
    patch_size: _Entry[tuple[int, int, int]]
    """One for each axis of the array, (z, y, x)."""
    current_spacing: _Entry[tuple[float, float, float]]
    """One for each axis of the network, in mm."""
    transpose_forward: _Entry[tuple[int, int, int]]
    modalities: tuple[_Modality, ...]

    def __post_init__(self) -> None:
        if not self.modalities:
            raise ValueError("found no modalities, expected at least one")


def read_json_plans(path: Path) -> dict[str, Any]:
    """Read plans in JSON, given as `plans.pkl` would hold them: one stage, only what inference needs.

    Logs a warning for every entry that is marked uncertain. Raises `ModelError` for a file that is missing or
    not JSON, and for an entry that is missing, unknown or of another type, which it names. The values
    themselves are checked with those of `plans.pkl`.
    """
    document = read_document(
        _Document,
        path,
        failure=ModelError,
        remedy="correct the file; containers/gepnet/README.md gives the format",
        missing="expected plans as JSON, check --plans",
        where="plans",
    )
    for where, entry in _entries("plans", document):
        if entry.uncertain:
            logger.warning("%s: %s is uncertain (%s)", path, where, entry.source)
    return _as_pickled(document)


def _entries(where: str, part: _Document | _Modality) -> Iterator[tuple[str, _Entry[Any]]]:
    for field in fields(part):
        value, name = getattr(part, field.name), f"{where}.{field.name}"
        if isinstance(value, _Entry):
            yield name, value
        elif isinstance(value, tuple):
            for index, modality in enumerate(value):
                yield from _entries(f"{name}[{index}]", modality)


def _as_pickled(document: _Document) -> dict[str, Any]:
    modalities = dict(enumerate(document.modalities))
    return {
        "num_modalities": len(modalities),
        "modalities": {index: modality.name.value for index, modality in modalities.items()},
        "normalization_schemes": {
            index: modality.normalization_scheme.value for index, modality in modalities.items()
        },
        "use_mask_for_norm": {
            index: modality.use_mask_for_norm.value for index, modality in modalities.items()
        },
        "dataset_properties": {
            "intensityproperties": {
                index: asdict(modality.intensityproperties.value)
                for index, modality in modalities.items()
                if modality.intensityproperties
            }
        },
        "transpose_forward": document.transpose_forward.value,
        "plans_per_stage": {
            0: {
                "patch_size": document.patch_size.value,
                "current_spacing": document.current_spacing.value,
            }
        },
    }
