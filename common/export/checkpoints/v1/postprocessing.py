"""nnU-Net v1's `postprocessing.json`, which a cross-validation leaves beside the folds.

Source: nnunet/postprocessing/connected_components.py (nnU-Net 1.7.1).
"""

import json
import re
from pathlib import Path

from common.errors import ModelError
from common.nnunet.postprocess import KeepLargest, Postprocessing

_CLASSES: tuple[object, ...] = ([], [1], [[1]])
_SMALLEST = re.compile(r"None|\{\}|\{(?:1|\(1,\)): ([0-9.e+-]+)\}")


def read_postprocessing(folder: Path) -> Postprocessing:
    """Read what `postprocessing.json` in a trained folder asks for, for networks of one foreground class.

    The file is there only after a cross-validation. Raises `ModelError` for one that is not understood.
    """
    path = folder / "postprocessing.json"
    if not path.exists():
        return Postprocessing(keep_largest=None)
    try:
        document = json.loads(path.read_bytes())
        classes, smallest = document["for_which_classes"], document.get("min_valid_object_sizes", "None")
        parsed = _SMALLEST.fullmatch(smallest)
        if classes not in _CLASSES or parsed is None:
            raise ValueError(f"found for_which_classes {classes!r} and min_valid_object_sizes {smallest!r}")
        keep_largest = KeepLargest(float(parsed[1]) if parsed[1] else None) if classes else None
        return Postprocessing(keep_largest)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path}: {error}; expected nnU-Net v1's postprocessing of one foreground class; copy the file "
            "again or remove it"
        ) from error
