"""A model folder, written whole or not at all."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from common.documents import plain
from common.errors import MachineError, ModelError
from common.hashes import sha256_of
from common.inference.network import Network
from common.model.model import MODEL_FILE, Model
from common.model.reading import Compiled, read_model_file

FORMAT_VERSION = 4
STAGING_PREFIX = ".export-"
NETWORK_FILES = ("*.onnx", "*.engine", "*.cubin")
"""What an earlier export may have left, and a later one replaces."""


def write_model(folder: Path, model: Model) -> None:
    """Write `model.json` for the network files, which lie in `folder` already; replaces an earlier one whole.

    The ONNX files' hashes are computed here; engines and kernels bring theirs. Inside `new_model_folder` an
    interrupted export leaves no folder that could be taken for a whole one. Raises `ModelError` for a folder
    that cannot be written.
    """
    networks = tuple(_as_written(folder, network) for network in model.networks)
    _replace_model_file(
        folder, {"format_version": FORMAT_VERSION, **plain(replace(model, networks=networks))}
    )


def replace_networks(folder: Path, staging: Path, model: Model) -> None:
    """Let a model folder describe `model`, whose new files lie in `staging`, a folder in it.

    New files, whose paths in `model` are still in `staging`, have other names than those that the folder
    describes. They are moved first, then `model.json` is replaced, and what it no longer names is removed:
    whenever this is interrupted, the folder is whole.
    Raises `ModelError` for a folder that cannot be written, `OSError` for a file that cannot be moved.
    """
    for path in staging.iterdir():
        path.replace(folder / path.name)

    def moved(path: Path) -> Path:
        return folder / path.name if path.parent == staging else path

    model = replace(model, networks=tuple(_with_paths(network, moved) for network in model.networks))
    write_model(folder, model)
    named = {path.name for path in _files_of(model)}
    for path in _network_files(folder):
        if path.name not in named:
            path.unlink()


def write_run(folder: Path, run: Mapping[str, Any]) -> None:
    """Replace the section `run` of a model folder's `model.json`; all else, hashes included, stays.

    Raises `ModelError` for a folder that holds no model or cannot be written.
    """
    _replace_model_file(
        folder, read_model_file(folder) | {"format_version": FORMAT_VERSION, "run": dict(run)}
    )


def _replace_model_file(folder: Path, document: Mapping[str, Any]) -> None:
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
def new_network_files(folder: Path) -> Iterator[Path]:
    """A temporary folder in a model folder, for files that `replace_networks` takes over.

    Raises `MachineError` where the machine cannot write.
    """
    with _machine_errors(folder), TemporaryDirectory(dir=folder, prefix=STAGING_PREFIX) as staging:
        yield Path(staging)


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
    with _machine_errors(folder), staging as name:
        yield Path(name)
        _take_over(Path(name), folder)


@contextmanager
def _machine_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MachineError(
            f"{error.filename or folder}: the export fails ({error.strerror}); check space and permissions"
        ) from error


def _take_over(staging: Path, folder: Path) -> None:
    (folder / MODEL_FILE).unlink(missing_ok=True)
    for stale in _network_files(folder):
        stale.unlink()
    for path in sorted(staging.iterdir(), key=lambda path: path.name == MODEL_FILE):
        path.replace(folder / path.name)
    for interrupted in folder.glob(f"{STAGING_PREFIX}*"):
        shutil.rmtree(interrupted)


def _network_files(folder: Path) -> list[Path]:
    return [path for pattern in NETWORK_FILES for path in folder.glob(pattern)]


def _files_of(model: Model) -> Iterator[Path]:
    """All network files that a model names."""
    for network in model.networks:
        for fold in network.folds:
            files = network.files(fold)
            yield from [files.onnx] if files.onnx else []
            yield from (engine.path for engine in files.engines)
            yield from (kernel.path for kernel in files.kernels)


def _as_written(folder: Path, network: Network) -> Network:
    """The network with its ONNX files' hashes, where there are any, and paths relative to the folder."""
    folds = tuple(
        replace(fold, sha256="" if fold.path is None else sha256_of(fold.path)) for fold in network.folds
    )
    return _with_paths(replace(network, folds=folds), lambda path: path.relative_to(folder))


def _with_paths(network: Network, place: Callable[[Path], Path]) -> Network:
    """The network with another path for each of its files."""

    def placed(files: tuple[Compiled, ...]) -> tuple[Compiled, ...]:
        return tuple(replace(file, path=place(file.path)) for file in files)

    folds = tuple(
        replace(fold, path=None if fold.path is None else place(fold.path), engines=placed(fold.engines))
        for fold in network.folds
    )
    return replace(network, folds=folds, kernels=placed(network.kernels))


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, allow_nan=False) + "\n"
