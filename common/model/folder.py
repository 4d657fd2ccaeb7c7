"""The model folder: `model.json` and the networks it names, refused when a hash does not fit.

The folder is what the platform mounts at `/opt/ml/model`. It holds JSON and ONNX, never a pickle.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from common.errors import MachineError, ModelError
from common.nnunet.plans import Plans
from common.typed_json import decode

FORMAT_VERSION = 2
READABLE_VERSIONS = (1, 2)
T = TypeVar("T")

MODEL_FILE = "model.json"
STAGING_PREFIX = ".export-"
PICKLE_SUFFIXES = frozenset({".ckpt", ".pickle", ".pkl", ".pt", ".pth"})
CHECKPOINT_FILES = ("plans.json", "plans.pkl", "fold_*/*", "*.pth", "*.model")
"""What a training leaves, at the top of its folder."""
EXPORT_AGAIN = "make the folder again with petct export"


@dataclass(frozen=True)
class Parity:
    """How far an engine's logits are from torch's on random tiles."""

    max_difference: float
    spread: float
    """Standard deviation of torch's logits."""
    relative_rms_difference: float | None = None
    """Root of the mean squared difference, as a fraction of `spread`; not in folders of format 1."""
    changed_voxels: float | None = None
    """Fraction of the voxels that change class though the logits tell the two clearly apart."""


@dataclass(frozen=True)
class Fold:
    """One trained network's file."""

    name: str
    """nnU-Net's name of the fold: `"0"`, `"1"`, …, `"all"`."""
    path: Path
    """The ONNX file; in `model.json`, relative to the folder."""
    parity: Parity
    sha256: str = ""
    """Hash of the file; `write_model` fills it in."""


@dataclass(frozen=True)
class Network:
    """One network of the algorithm, trained once per fold."""

    name: str
    """What it is for: `"segmentation"`, `"localisation"`."""
    channels: tuple[str, ...]
    patch: tuple[int, ...]
    """Voxels of one tile, (z, y, x), or (row, column) for a 2D network."""
    classes: int
    mirror_axes: tuple[int, ...]
    """Array axes of the tile along which the training allows mirroring."""
    folds: tuple[Fold, ...]
    tile_memory: int
    """Bytes that one tile of one fold takes, measured with the default CPU engine."""
    plans: Plans | None = None
    """`None` for a network outside nnU-Net's recipe."""

    def __post_init__(self) -> None:
        axes = range(len(self.patch))
        if len(axes) not in (2, 3) or min(self.patch) < 1:
            raise ValueError(f"found patch {self.patch}, expected two or three sizes of at least one voxel")
        if len(set(self.mirror_axes)) < len(self.mirror_axes) or not set(self.mirror_axes) <= set(axes):
            raise ValueError(f"found mirror axes {self.mirror_axes}, expected some of {tuple(axes)}")
        if self.tile_memory < 0:
            raise ValueError(f"found tile_memory {self.tile_memory}, expected a number of bytes")
        if self.plans is not None and self.plans.patch != self.patch:
            raise ValueError(f"found patch {self.patch}, expected {self.plans.patch} as in its plans")

    @property
    def nnunet_plans(self) -> Plans:
        """The plans of a network that nnU-Net's recipe prepares; `ModelError` if there are none."""
        if self.plans is None:
            raise ModelError(f"model.json: network {self.name} has no plans; export the checkpoint again")
        return self.plans


@dataclass(frozen=True)
class Model:
    """A model folder whose hashes have been checked."""

    algorithm: str
    networks: tuple[Network, ...]
    source_sha256: str
    """Hash over the checkpoint files that the folder was made from."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The algorithm's own numbers, such as the width of a click."""
    run: dict[str, Any] = field(default_factory=dict)
    """What was chosen for every run with this model; see `common.model.settings`."""

    def network(self, name: str) -> Network:
        """The network of that name; `ModelError` if there is none."""
        networks = {network.name: network for network in self.networks}
        if name not in networks:
            raise ModelError(
                f"{MODEL_FILE}: found networks {list(networks)}, expected {name!r}; {EXPORT_AGAIN}"
            )
        return networks[name]

    @property
    def fold_names(self) -> list[str]:
        """The folds of what nnU-Net's recipe prepares; other networks are trained once for all of them."""
        folds = (fold for network in self.networks if network.plans for fold in network.folds)
        return list(dict.fromkeys(fold.name for fold in folds))

    def settings_as(self, kind: type[T]) -> T:
        """The settings as a dataclass; `ModelError` naming the first that does not fit."""
        try:
            return decode(kind, self.settings, "settings")
        except ValueError as error:
            raise ModelError(f"{MODEL_FILE}: {error}; {EXPORT_AGAIN}") from error


def write_model(folder: Path, model: Model) -> None:
    """Write `model.json` for the network files, which lie in `folder` already.

    Inside `new_model_folder` an interrupted export leaves no folder that could be taken for a whole one.
    """
    networks = tuple(
        replace(network, folds=tuple(replace(fold, sha256=sha256_of(fold.path)) for fold in network.folds))
        for network in model.networks
    )
    document = {"format_version": FORMAT_VERSION, **asdict(replace(model, networks=networks))}

    def relative(path: Path) -> str:
        return path.relative_to(folder).as_posix()

    (folder / MODEL_FILE).write_text(_text(document, relative))


def algorithm_of(folder: Path) -> str:
    """The algorithm that a model folder is for; `ModelError` as `read_model`."""
    return str(_read_document(folder).get("algorithm"))


def write_run(folder: Path, run: Mapping[str, Any]) -> None:
    """Replace the section `run` of a model folder's `model.json`; all else, hashes included, stays.

    Raises `ModelError` for a folder that holds no model or cannot be written.
    """
    document = _read_document(folder) | {"format_version": FORMAT_VERSION, "run": dict(run)}
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


def read_model(folder: Path, algorithm: str) -> Model:
    """The model of `algorithm` in `folder`, with absolute paths and every hash checked.

    Raises `ModelError` for a folder that is missing, damaged, altered, of another algorithm or format,
    or that holds a pickle.
    """
    document = _read_document(folder, algorithm)
    version = document.pop("format_version", None)
    if version not in READABLE_VERSIONS:
        raise _wrong(folder, f"found format version {version!r}, expected {FORMAT_VERSION} or earlier")
    if document.get("algorithm") != algorithm:
        raise _wrong(folder, f"found algorithm {document.get('algorithm')!r}, expected {algorithm!r}")
    try:
        model = decode(Model, document, "model")
    except ValueError as error:
        raise _wrong(folder, str(error)) from error
    for network in model.networks:
        if not network.folds:
            raise _wrong(folder, f"network {network.name} has no folds, expected at least one")
    _refuse_pickles(folder)
    networks = tuple(
        replace(network, folds=tuple(_checked(folder, fold) for fold in network.folds))
        for network in model.networks
    )
    return replace(model, networks=networks)


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_all(folder: Path, paths: Sequence[Path]) -> str:
    """One SHA-256 over the contents and the names of files, relative to `folder` where they lie in it."""
    names = (path.relative_to(folder) if path.is_relative_to(folder) else path.name for path in paths)
    lines = [f"{sha256_of(path)}  {name}\n" for path, name in zip(paths, names, strict=True)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _take_over(staging: Path, folder: Path) -> None:
    (folder / MODEL_FILE).unlink(missing_ok=True)
    for stale in folder.glob("*.onnx"):
        stale.unlink()
    for path in sorted(staging.iterdir(), key=lambda path: path.name == MODEL_FILE):
        path.replace(folder / path.name)
    for interrupted in folder.glob(f"{STAGING_PREFIX}*"):
        shutil.rmtree(interrupted)


def _text(document: Mapping[str, Any], convert: Callable[[Path], str] = str) -> str:
    return json.dumps(document, default=convert, indent=1, allow_nan=False) + "\n"


def _read_document(folder: Path, algorithm: str = "ALGORITHM") -> dict[str, Any]:
    _require_content(folder, algorithm)
    path = folder / MODEL_FILE
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise _without_model_file(folder, algorithm) from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
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
            raise ModelError(f"{path}: found a pickle, expected JSON and ONNX files only; {EXPORT_AGAIN}")


def _checked(folder: Path, fold: Fold) -> Fold:
    path = folder / fold.path
    if not path.resolve().is_relative_to(folder.resolve()):
        raise _wrong(folder, f"names {fold.path}, expected a file inside the folder")
    if not path.is_file():
        raise ModelError(f"{path}: no such file, expected the network of fold {fold.name}; {EXPORT_AGAIN}")
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if found != fold.sha256:
        raise ModelError(f"{path}: altered, found sha256 {found}, expected {fold.sha256}; {EXPORT_AGAIN}")
    return replace(fold, path=path)


def _wrong(folder: Path, reason: str) -> ModelError:
    return ModelError(f"{folder / MODEL_FILE}: {reason}; {EXPORT_AGAIN}")
