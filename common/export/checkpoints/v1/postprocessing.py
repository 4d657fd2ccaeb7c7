"""nnU-Net v1's `postprocessing.json`, which a cross-validation leaves beside the folds.

Source: nnunet/postprocessing/connected_components.py (nnU-Net 1.7.1).
"""

import re
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from common.documents import OPEN, excerpt, read_document
from common.errors import ModelError
from common.nnunet.postprocess import KeepLargest, Postprocessing

_CLASSES: tuple[list[Any], ...] = ([], [1], [[1]])
_SMALLEST = re.compile(r"None|\{\}|\{(?:1|\(1,\)): (\d{1,18}(?:\.\d*)?(?:e[+-]?\d\d?)?)\}")


@dataclass(frozen=True, config=OPEN)
class _Document:
    for_which_classes: list[Any]
    min_valid_object_sizes: str = "None"
    """A Python dictionary as text: class → mm³."""

    def __post_init__(self) -> None:
        classes, smallest = self.for_which_classes, self.min_valid_object_sizes
        if classes not in _CLASSES or not _SMALLEST.fullmatch(smallest):
            raise ValueError(
                f"found for_which_classes {excerpt(classes)} and min_valid_object_sizes {excerpt(smallest)}"
            )

    def keep_largest(self) -> KeepLargest | None:
        parsed = _SMALLEST.fullmatch(self.min_valid_object_sizes)
        smallest = float(parsed[1]) if parsed and parsed[1] else None
        return KeepLargest(smallest) if self.for_which_classes else None


def read_postprocessing(folder: Path) -> Postprocessing:
    """Read what `postprocessing.json` in a trained folder asks for, for networks of one foreground class.

    The file is there only after a cross-validation. Raises `ModelError` for one that is not understood.
    """
    path = folder / "postprocessing.json"
    if not path.exists():
        return Postprocessing(keep_largest=None)
    document = read_document(
        _Document,
        path,
        failure=ModelError,
        remedy="expected nnU-Net v1's postprocessing of one foreground class; copy it again or remove it",
    )
    return Postprocessing(document.keep_largest())
