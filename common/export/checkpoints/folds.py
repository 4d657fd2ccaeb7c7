"""The folds of a trained folder, of either generation of nnU-Net."""

from collections.abc import Sequence
from pathlib import Path

from common.errors import ModelError


def find_folds(folder: Path, file_name: str, folds: Sequence[str] | None = None) -> dict[str, Path]:
    """Fold name → checkpoint file, of the folds asked for, or of all there are.

    `"all"`, trained on the whole data set, is left out where other folds are found, as nnU-Net does
    (`auto_detect_available_folds`). Raises `ModelError` where one is missing, or no file.
    """
    found = {path.parent.name.removeprefix("fold_"): path for path in folder.glob(f"fold_*/{file_name}")}
    numbered = sorted((name for name in found if name.isdecimal()), key=int)
    if not found:
        raise ModelError(
            f"{folder}: found no fold_*/{file_name}; --checkpoint takes the folder that nnU-Net trained into"
        )
    for name in folds or ():
        if name not in found:
            raise ModelError(
                f"{folder}: found no fold_{name}/{file_name}, there are folds "
                f"{', '.join(sorted(found))}; choose among them with --folds"
            )
    chosen = {name: found[name] for name in dict.fromkeys(folds or numbered or found)}
    for path in chosen.values():
        require_file(path)
    return chosen


def require_file(path: Path) -> None:
    """Raise `ModelError` for what is no file: whoever opens a pipe waits for ever."""
    if not path.is_file():
        raise ModelError(
            f"{path}: a folder, pipe, device or broken link, expected a file; copy it again from the training"
        )
