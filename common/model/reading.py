"""A model folder, read and refused when a hash does not fit.

The folder is what the platform mounts at `/opt/ml/model`. It holds JSON, ONNX, compiled engines and kernels,
never a pickle.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from common.documents import DocumentError, decode, read_limited, unique_keys
from common.errors import ModelError
from common.grandchallenge.interface import is_relative_path
from common.hashes import sha256_of
from common.inference.files import EngineFile, KernelFile
from common.inference.network import Fold, Network
from common.model.model import EXPORT_AGAIN, MODEL_FILE, Model
from common.model.onnx_structure import check_structure

READABLE_VERSIONS = (1, 2, 3, 4)
PICKLE_SUFFIXES = frozenset({".ckpt", ".pickle", ".pkl", ".pt", ".pth"})
CHECKPOINT_FILES = ("plans.json", "plans.pkl", "fold_*/*", "*.pth", "*.model")
"""What a training leaves, at the top of its folder."""

Compiled = TypeVar("Compiled", EngineFile, KernelFile)


def read_model(folder: Path, algorithm: str) -> Model:
    """The model of `algorithm` in `folder`, with absolute paths and the ONNX files' hashes checked.

    Of engines and kernels only that they are there is checked: they are gigabytes, of which a run loads a
    part, so whoever loads one checks its hash.

    Raises `ModelError` for a folder that is missing, damaged, altered, of another algorithm or format,
    or that holds a pickle.
    """
    document = read_model_file(folder, algorithm)
    version = document.pop("format_version", None)
    if version not in READABLE_VERSIONS:
        raise _wrong(folder, f"found format version {version!r}, expected {READABLE_VERSIONS[-1]} or earlier")
    if document.get("algorithm") != algorithm:
        raise _wrong(folder, f"found algorithm {document.get('algorithm')!r}, expected {algorithm!r}")
    try:
        model = decode(Model, json.dumps(document), "model")
    except (ValueError, RecursionError) as error:
        raise _wrong(folder, str(error)) from error
    for network in model.networks:
        if not network.folds:
            raise _wrong(folder, f"network {network.name} has no folds, expected at least one")
    _refuse_pickles(folder)
    return replace(model, networks=tuple(_located(folder, network) for network in model.networks))


def algorithm_of(folder: Path) -> str:
    """The algorithm that a model folder is for; `ModelError` as `read_model`."""
    return str(read_model_file(folder).get("algorithm"))


def read_model_file(folder: Path, algorithm: str = "ALGORITHM") -> dict[str, Any]:
    """The content of a folder's `model.json`; `ModelError` as `read_model` for a folder without one."""
    _require_content(folder, algorithm)
    path = folder / MODEL_FILE
    try:
        if not path.exists():
            raise _without_model_file(folder, algorithm)
        text = read_limited(path, ModelError, "check its permissions")
        document = json.loads(text.decode(), object_pairs_hook=unique_keys)
    except DocumentError as error:
        raise _wrong(folder, str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _wrong(folder, f"is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise _wrong(folder, f"found a {type(document).__name__}, expected a JSON object")
    return document


def _require_content(folder: Path, algorithm: str) -> None:
    """Raise `ModelError` where there is nothing at all, as on the platform without a model."""
    try:
        found = "an empty folder" if not any(folder.iterdir()) else None
    except FileNotFoundError:
        found = "no such folder"
    except OSError as error:
        raise ModelError(
            f"{folder}: cannot be read ({error.strerror}); name a folder with --model"
        ) from error
    if found:
        raise ModelError(
            f"{folder}: {found}, expected a model; on the platform upload {_tarball(algorithm)} on your "
            "algorithm's page, Models, elsewhere name the model's folder with --model"
        )


def _without_model_file(folder: Path, algorithm: str) -> ModelError:
    """The error for a folder that holds a model one folder deeper, a checkpoint, or something else."""
    if deeper := sorted(folder.glob(f"*/{MODEL_FILE}")):
        return ModelError(
            f"{deeper[0]}: found one folder too deep, expected {folder / MODEL_FILE}; upload "
            f"{_tarball(algorithm)} as ./export.sh writes it, whose files lie at the top"
        )
    patterns = [f"{top}{name}" for top in ("", "*/") for name in CHECKPOINT_FILES]
    if found := next((path for pattern in patterns for path in sorted(folder.glob(pattern))), None):
        return ModelError(
            f"{found}: found a training checkpoint, expected a model exported from it; run ./build.sh "
            f"{algorithm} --checkpoint DIR and ./export.sh {algorithm}, and upload {_tarball(algorithm)} "
            "(without Docker: petct export)"
        )
    return _wrong(folder, "is missing")


def _tarball(algorithm: str) -> str:
    return f"dist/{algorithm}_model.tar.gz"


def _refuse_pickles(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICKLE_SUFFIXES:
            raise ModelError(f"{path}: found a pickle, expected JSON and networks only; {EXPORT_AGAIN}")


def _located(folder: Path, network: Network) -> Network:
    """The network with absolute paths of files that are there."""
    return replace(
        network,
        folds=tuple(_fold_located(folder, network, fold) for fold in network.folds),
        kernels=_compiled_located(folder, network.kernels, f"a kernel of network {network.name}"),
    )


def _fold_located(folder: Path, network: Network, fold: Fold) -> Fold:
    if fold.path is None and not fold.engines:
        raise _wrong(
            folder, f"fold {fold.name} of network {network.name} has no files, expected ONNX or engines"
        )
    engines = _compiled_located(folder, fold.engines, f"an engine of fold {fold.name}")
    if fold.path is None:
        return replace(fold, engines=engines)
    path = _file_in(folder, fold.path, f"the network of fold {fold.name}")
    _require_hash(path, fold.sha256)
    _require_standard(path)
    return replace(fold, path=path, engines=engines)


def _compiled_located(folder: Path, files: tuple[Compiled, ...], purpose: str) -> tuple[Compiled, ...]:
    return tuple(replace(file, path=_file_in(folder, file.path, purpose)) for file in files)


def _file_in(folder: Path, name: Path, purpose: str) -> Path:
    path = folder / name
    if not _is_inside(folder, name):
        raise _wrong(folder, f"names {name}, expected a file inside the folder")
    if not path.is_file():
        raise ModelError(f"{path}: no such file, expected {purpose}; {EXPORT_AGAIN}")
    return path


def _require_hash(path: Path, expected: str) -> None:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if found != expected:
        raise ModelError(f"{path}: altered, found sha256 {found}, expected {expected}; {EXPORT_AGAIN}")


def _require_standard(path: Path) -> None:
    try:
        check_structure(path)
    except ValueError as error:
        raise ModelError(
            f"{path}: found {error}, expected a network of standard operators that holds its weights itself; "
            f"{EXPORT_AGAIN}"
        ) from error


def _is_inside(folder: Path, path: Path) -> bool:
    """Whether a path relative to the folder leads nowhere else, by links either."""
    try:
        return is_relative_path(str(path)) and (folder / path).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a name that is too long, links in a circle
        return False


def _wrong(folder: Path, reason: str) -> ModelError:
    return ModelError(f"{folder / MODEL_FILE}: {reason}; {EXPORT_AGAIN}")
