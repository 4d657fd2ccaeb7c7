"""Masks against truths, case by case and summed up."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import InputError
from common.evaluation.metrics import Mask, Metrics, compare
from common.grandchallenge.grid import same_grid
from common.grandchallenge.images import SUFFIXES, Image, image_stem, is_image, read_image


@dataclass(frozen=True)
class CaseResult:
    """The measures of one case."""

    case: str
    """The file's name without its extension."""
    metrics: Metrics


@dataclass(frozen=True)
class Summary:
    """The measures of all cases together; volumes in ml."""

    cases: int
    mean_dice: float
    """Over the cases whose truth is not empty; NaN where there is none."""
    median_dice: float
    """Over the same cases."""
    false_positive: float
    """Summed over all cases."""
    false_negative: float
    """Summed over all cases."""


def evaluate(truth_dir: Path, prediction_dir: Path, label: int | None = None) -> list[CaseResult]:
    """Measure every mask of one folder against the truth of the same name in the other.

    Voxels of the `label` are compared, or those of all labels but 0, as if they were one.

    Raises `InputError` when a folder holds no image, a case is in one folder only, a file is damaged, or the
    two of a case lie on different grids.
    """
    truths, predictions = _find_cases(truth_dir), _find_cases(prediction_dir)
    for these, others, folder in ((truths, predictions, prediction_dir), (predictions, truths, truth_dir)):
        lonely = sorted(these.keys() - others.keys())
        if lonely:
            raise InputError(
                f"{folder}: no image named {lonely[0]!r} to pair with {these[lonely[0]]} "
                f"({len(lonely)} missing in all); expected the same names in both folders"
            )
    return [CaseResult(case, _compare(truths[case], predictions[case], label)) for case in sorted(truths)]


def summarise(results: Sequence[CaseResult]) -> Summary:
    """Sum up the cases."""
    dice = [result.metrics.dice for result in results if not math.isnan(result.metrics.dice)]
    return Summary(
        cases=len(results),
        mean_dice=float(np.mean(dice)) if dice else math.nan,
        median_dice=float(np.median(dice)) if dice else math.nan,
        false_positive=sum(result.metrics.false_positive for result in results),
        false_negative=sum(result.metrics.false_negative for result in results),
    )


def table(results: Sequence[CaseResult]) -> str:
    """Lay the results out as plain text, one line per case, and the summary."""
    heads = ("case", "Dice", "FP ml", "FN ml", "truth ml", "diff. ml", "rel. diff.")
    rows = [(result.case, *map(_number, astuple(result.metrics))) for result in results]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in (heads, *rows)
    ]
    return "\n".join([*lines, "", _in_words(summarise(results)), ""])


def write_json(results: Sequence[CaseResult], path: Path) -> None:
    """Write the results and the summary, NaN as `null`; raises `InputError` where that cannot be done."""
    document = {
        "cases": [{"case": result.case, **asdict(result.metrics)} for result in results],
        "summary": asdict(summarise(results)),
    }
    try:
        path.write_text(json.dumps(_without_nan(document), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a file that can be written") from error


def _find_cases(folder: Path) -> dict[str, Path]:
    """Stem → file."""
    try:
        paths = sorted(path for path in folder.iterdir() if is_image(path.name))
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; expected a folder of masks") from error
    cases: dict[str, Path] = {}
    for path in paths:
        if cases.setdefault(image_stem(path), path) != path:
            raise InputError(
                f"{path}: {cases[image_stem(path)].name} has the same name; expected one file a case"
            )
    if not cases:
        raise InputError(f"{folder}: no image, expected masks with the endings {' or '.join(SUFFIXES)}")
    return cases


def _compare(truth_path: Path, prediction_path: Path, label: int | None) -> Metrics:
    truth, prediction = read_image(truth_path), read_image(prediction_path)
    if not same_grid(truth.geometry, prediction.geometry):
        raise InputError(
            f"{prediction_path}: {prediction.geometry}; expected the grid of {truth_path}, {truth.geometry}"
        )
    return compare(_mask(truth, label), _mask(prediction, label), truth.geometry.voxel_volume_ml)


def _mask(image: Image, label: int | None) -> Mask:
    return image.voxels != 0 if label is None else image.voxels == label


def _in_words(summary: Summary) -> str:
    return (
        f"{summary.cases} cases: Dice {_number(summary.mean_dice)} (mean), {_number(summary.median_dice)} "
        f"(median); {_number(summary.false_positive)} ml false positives, "
        f"{_number(summary.false_negative)} ml false negatives"
    )


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
