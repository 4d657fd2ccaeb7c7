"""A case, its mask, and its truth where there is one, read and measured."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.case import Case
from common.errors import InputError
from common.geometry import Geometry
from common.grandchallenge.grid import same_grid
from common.grandchallenge.images import find_image, is_image, read_image
from common.grandchallenge.interface import Interface, Socket
from common.grandchallenge.reading import read_case
from common.report.comparison import Comparison, compare_lesions
from common.report.lesions import Lesion, Totals, lesions_of, totals_of
from common.report.run_log import RunLog

PET = Socket("pet", "image", "images/pet", reference=True, names_mask=True)
CT = Socket("ct", "image", "images/ct", outside=-1024.0)
CLICKS = Socket("lesion-clicks", "multiple-points", "lesion-clicks.json")
MASK = Socket("mask", "segmentation", "images/mask")


@dataclass(frozen=True)
class Study:
    """One case and what was found in it."""

    name: str
    case: Case
    """Its images on the grid of its reference, with `pet` among them."""
    numbers: NDArray[np.int32]
    """Each voxel's lesion, (z, y, x), 0 for none."""
    lesions: tuple[Lesion, ...]
    totals: Totals
    run: RunLog = field(default_factory=lambda: RunLog({}, ()))
    truth: NDArray[np.bool_] | None = None
    comparison: Comparison | None = None

    @property
    def pet(self) -> NDArray[np.float32]:
        """(z, y, x), in SUV."""
        return self.case.images["pet"]

    @property
    def ct(self) -> NDArray[np.float32] | None:
        """(z, y, x), in HU."""
        return self.case.images.get("ct")

    @property
    def geometry(self) -> Geometry:
        """The grid of everything here."""
        return self.case.geometry


def read_study(
    case_dir: Path,
    mask_path: Path,
    truth_path: Path | None = None,
    interface: Interface | None = None,
    run: RunLog | None = None,
) -> Study:
    """Read a case and measure its mask; all labels but 0 are lesions.

    Parameters
    ----------
    case_dir
        As the platform lays a case out: `images/pet`; `images/ct` and `lesion-clicks.json` where they are.
    mask_path, truth_path
        A file, or the folder in which it lies alone, at any depth.
    interface
        Other sockets; one of them must be the image `pet`.
    run
        What the run said of itself.

    Raises
    ------
    InputError
        For files that are missing or damaged, and a mask that lies on another grid than the PET.
    MachineError
        Where memory runs out.

    """
    case = read_case(case_dir, interface or _sockets_of(case_dir))
    if "pet" not in case.images:
        raise InputError(f"{case_dir}: found the images {', '.join(case.images)}, expected one that is 'pet'")
    path = find_mask(mask_path)
    mask = _read_mask(path, case.geometry)
    lesions, numbers = lesions_of(mask, case.images["pet"], case.geometry)
    truth = _read_mask(find_mask(truth_path), case.geometry) if truth_path else None
    compared = None
    if truth is not None:
        compared = compare_lesions(lesions, numbers, truth, case.images["pet"], case.geometry)
    return Study(
        case.stem,
        case,
        numbers,
        tuple(lesions),
        totals_of(lesions),
        run or RunLog({}, ()),
        truth,
        compared,
    )


def find_mask(path: Path) -> Path:
    """The file itself, or the one image in a folder, at any depth; `InputError` for none or several."""
    if not path.is_dir():
        return path
    folders: Sequence[Path] = sorted({file.parent for file in path.rglob("*") if is_image(file.name)})
    if len(folders) > 1:
        raise InputError(f"{path}: found images in {len(folders)} folders, expected the mask alone; name it")
    return find_image(folders[0] if folders else path)


def _read_mask(path: Path, grid: Geometry) -> NDArray[np.bool_]:
    image = read_image(path)
    if not same_grid(grid, image.geometry):
        raise InputError(f"{path}: {image.geometry}; expected the case's grid, {grid}")
    return image.voxels > 0


def _sockets_of(case_dir: Path) -> Interface:
    """What lies in a case that no interface was named for."""
    others = [socket for socket in (CT, CLICKS) if (case_dir / socket.relative_path).exists()]
    return Interface("Report", (PET, *others), (MASK,))
