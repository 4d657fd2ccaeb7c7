"""A model folder, written whole or not at all."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from common.documents import plain
from common.errors import MachineError, ModelError
from common.inference.network import Fold
from common.model.hashes import sha256_of
from common.model.model import MODEL_FILE, Model
from common.model.reading import read_model_file

FORMAT_VERSION = 3
STAGING_PREFIX = ".export-"


def write_model(folder: Path, model: Model) -> None:
    """Write `model.json` for the network files, which lie in `folder` already.

    Inside `new_model_folder` an interrupted export leaves no folder that could be taken for a whole one.
    """
    networks = tuple(
        replace(network, folds=tuple(_as_written(folder, fold) for fold in network.folds))
        for network in model.networks
    )
    document = {"format_version": FORMAT_VERSION, **plain(replace(model, networks=networks))}
    (folder / MODEL_FILE).write_text(_text(document))


def write_run(folder: Path, run: Mapping[str, Any]) -> None:
    """Replace the section `run` of a model folder's `model.json`; all else, hashes included, stays.

    Raises `ModelError` for a folder that holds no model or cannot be written.
    """
    document = read_model_file(folder) | {"format_version": FORMAT_VERSION, "run": dict(run)}
    try:
        with TemporaryDirectory(dir=folder, prefix=STAGING_PREFIX) as staging:
            unfinished = Path(staging) / MODEL_FILE
            unfinished.write_text(_text(document))
            unfinished.replace(folder / MODEL_FILE)
    except OSError as error:
        raise ModelError(
            f"{folder}: cannot be written ({error.strerror}); check space and permissions"
        ) from error


@contextmanager
def new_model_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder to export into; what it holds when the block ends well becomes `folder`'s content.

    An earlier model is replaced only then. Raises `ModelError` for a folder that holds something else,
    or that cannot be written, and `MachineError` for an export that fails there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = [path.name for path in folder.iterdir() if not path.name.startswith(STAGING_PREFIX)]
        if names and MODEL_FILE not in names:
            raise ModelError(
                f"{folder}: found files but no {MODEL_FILE}, expected an empty folder or an earlier model; "
                f"choose another --model"
            )
        staging = TemporaryDirectory(dir=folder, prefix=STAGING_PREFIX)
    except OSError as error:
        raise ModelError(f"{folder}: cannot be written ({error.strerror}); choose another --model") from error
    try:
        with staging as name:
            yield Path(name)
            _take_over(Path(name), folder)
    except OSError as error:
        raise MachineError(
            f"{error.filename or folder}: the export fails ({error.strerror}); check space and permissions"
        ) from error


def _take_over(staging: Path, folder: Path) -> None:
    (folder / MODEL_FILE).unlink(missing_ok=True)
    for stale in folder.glob("*.onnx"):
        stale.unlink()
    for path in sorted(staging.iterdir(), key=lambda path: path.name == MODEL_FILE):
        path.replace(folder / path.name)
    for interrupted in folder.glob(f"{STAGING_PREFIX}*"):
        shutil.rmtree(interrupted)


def _as_written(folder: Path, fold: Fold) -> Fold:
    """The fold with its file's hash, and the path relative to the folder."""
    return replace(fold, path=fold.path.relative_to(folder), sha256=sha256_of(fold.path))


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, allow_nan=False) + "\n"
