"""The series in a folder, and the one that is meant."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import InputError, MachineError, one_line

if TYPE_CHECKING:
    from pydicom import Dataset

PREAMBLE = 128
MAGIC = b"DICM"
READERS = 8
SHOWN = 6
"""Series that a message lists."""


@dataclass(frozen=True)
class Instance:
    """One file's header, without its pixels."""

    path: Path
    header: "Dataset"


@dataclass(frozen=True)
class Series:
    """The instances of one series, in no order."""

    uid: str
    modality: str
    instances: tuple[Instance, ...]

    @property
    def header(self) -> "Dataset":
        """An instance's header, for what all have in common."""
        return self.instances[0].header

    def __str__(self) -> str:
        description = one_line(str(self.header.get("SeriesDescription", "")))
        return f"{self.uid} ({self.modality}, {len(self.instances)} files, '{description}')"


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do."""
    try:
        with path.open("rb") as file:
            return file.read(PREAMBLE + len(MAGIC))[PREAMBLE:] == MAGIC
    except OSError:
        return False


def holds_dicom(folder: Path) -> bool:
    """Whether there is a DICOM file in a folder, at any depth."""
    return any(is_dicom(path) for path in _files(folder))


def find_series(folder: Path) -> list[Series]:
    """All series of images in a folder, at any depth; other files are ignored.

    Raises `InputError` for a DICOM file that is damaged, and `MachineError` without pydicom.
    """
    pydicom = _require_pydicom(folder)
    paths = [path for path in _files(folder) if is_dicom(path)]

    def read(path: Path) -> Instance:
        try:
            return Instance(path, pydicom.dcmread(path, stop_before_pixels=True))
        except Exception as error:  # whatever pydicom makes of a stranger's file
            raise InputError(f"{path}: not readable as DICOM ({error}); export the series again") from error

    by_uid: dict[str, list[Instance]] = defaultdict(list)
    with ThreadPoolExecutor(READERS) as threads:
        for instance in threads.map(read, paths):
            if _is_image(instance.header):
                by_uid[str(instance.header.get("SeriesInstanceUID", ""))].append(instance)
    return [
        Series(uid, str(found[0].header.get("Modality", "")), tuple(found)) for uid, found in by_uid.items()
    ]


def choose_series(
    found: Sequence[Series], modality: str, folder: Path, uids: Sequence[str] = ()
) -> Series | None:
    """The one series of a modality (`PT`, `CT`), by its UID where there are several; `None` for none.

    Raises `InputError` that lists the candidates where it is not clear which one is meant.
    """
    candidates = [series for series in found if series.modality == modality]
    chosen = [series for series in candidates if series.uid in uids] or candidates
    if len(chosen) > 1:
        listed = "; ".join(str(series) for series in chosen[:SHOWN])
        raise InputError(
            f"{folder}: {len(chosen)} series are {modality}: {listed}; choose one with --series UID"
        )
    return chosen[0] if chosen else None


def require_known(found: Sequence[Series], uids: Sequence[str], folder: Path) -> None:
    """Raise `InputError` for a UID that no series has."""
    for uid in uids:
        if uid not in {series.uid for series in found}:
            listed = "; ".join(str(series) for series in found[:SHOWN]) or "none"
            raise InputError(f"{folder}: no series has the UID {uid}; there is: {listed}")


def _is_image(header: "Dataset") -> bool:
    """Whether it has pixels that are no scout's: a localiser is a projection."""
    return "Rows" in header and "LOCALIZER" not in values_of(header, "ImageType")


def values_of(header: "Dataset", name: str) -> set[str]:
    """An attribute's values in capitals, of which pydicom gives a single one as itself."""
    value = header.get(name) or ()
    return {str(part).upper() for part in ((value,) if isinstance(value, str) else value)}


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _require_pydicom(folder: Path) -> Any:
    try:
        import pydicom
    except ModuleNotFoundError as error:
        raise MachineError(
            f"{folder}: holds DICOM files, and pydicom is not installed here; convert them first (petct "
            "convert), or build the image with ./build.sh --dicom"
        ) from error
    return pydicom
