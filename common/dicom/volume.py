"""A series' slices as one volume, where they are one."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from common.dicom.series import READERS, Instance, Series
from common.errors import InputError
from common.geometry import Geometry, triple

if TYPE_CHECKING:
    from pydicom import Dataset

TOLERANCE = 0.02
"""Of the distance between slices, by which one may differ."""
SHIFT = 0.05
"""mm by which slices may be shifted in their plane."""
SAME = 1e-3
"""mm, and of directions: what rounding leaves."""


@dataclass(frozen=True)
class Slice:
    """One plane of a series, which may be a frame of a file."""

    instance: Instance
    frame: int | None
    """From 0; `None` where the file has one plane alone."""
    position: NDArray[np.float64]
    """Centre of the first voxel, (x, y, z) in mm."""
    orientation: NDArray[np.float64]
    """Directions of a row and of a column, (2, 3)."""
    spacing: tuple[float, float]
    """From row to row, from column to column, in mm."""
    slope: float
    intercept: float

    @property
    def path(self) -> Path:
        """The file."""
        return self.instance.path

    @property
    def along(self) -> float:
        """Where the plane lies along its normal, in mm."""
        return float(self.position @ np.cross(*self.orientation))


def slices_of(series: Series) -> list[Slice]:
    """The series' planes, ordered along their normal.

    Raises `InputError` for planes that are no volume: of different orientation or size, twice at one place,
    with one missing between them, or shifted against each other as by a tilted gantry.
    """
    slices = sorted(
        (plane for instance in series.instances for plane in _planes(instance)), key=lambda plane: plane.along
    )
    if len(slices) < 2:
        raise InputError(f"{slices[0].path}: the series' only slice; expected a volume")
    _require_alike(slices)
    _require_regular(slices)
    return slices


def geometry_of(slices: Sequence[Slice]) -> Geometry:
    """The grid of ordered slices."""
    first = slices[0]
    between = (slices[-1].along - first.along) / (len(slices) - 1)
    header = first.instance.header
    axes = np.column_stack([*first.orientation, np.cross(*first.orientation)])
    return Geometry(
        (int(header.Columns), int(header.Rows), len(slices)),
        (first.spacing[1], first.spacing[0], between),
        triple(first.position.tolist()),
        tuple(axes.ravel().tolist()),
    )


def voxels_of(slices: Sequence[Slice], factor: float = 1.0) -> NDArray[np.float32]:
    """Rescaled voxels (z, y, x), times a factor; raises `InputError` for pixels that cannot be decoded."""
    header = slices[0].instance.header
    volume = np.empty((len(slices), int(header.Rows), int(header.Columns)), np.float32)
    by_file: dict[Path, list[int]] = {}
    for number, plane in enumerate(slices):
        by_file.setdefault(plane.path, []).append(number)

    def read(path: Path) -> None:
        frames = _decoded(path)
        for number in by_file[path]:
            plane = slices[number]
            stored = frames if plane.frame is None else frames[plane.frame]
            if stored.shape != volume.shape[1:]:
                raise InputError(f"{path}: pixels of shape {stored.shape}, expected {volume.shape[1:]}")
            np.multiply(stored, np.float32(plane.slope * factor), out=volume[number])
            volume[number] += np.float32(plane.intercept * factor)

    with ThreadPoolExecutor(READERS) as threads:
        list(threads.map(read, by_file))
    return volume


def _decoded(path: Path) -> NDArray[Any]:
    import pydicom

    try:
        return np.asarray(pydicom.dcmread(path).pixel_array)
    except Exception as error:  # whatever decoders make of a stranger's pixels
        raise InputError(
            f"{path}: its pixels cannot be decoded ({error}); export the series again"
        ) from error


def _planes(instance: Instance) -> Iterator[Slice]:
    header = instance.header
    try:
        if "PerFrameFunctionalGroupsSequence" in header:
            shared: Any = next(iter(header.get("SharedFunctionalGroupsSequence") or ()), {})
            for number, frame in enumerate(header.PerFrameFunctionalGroupsSequence):
                yield _frame(instance, number, (frame, shared))
        else:
            yield _plane(instance, None, header, header, header)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{instance.path}: where it lies is not said ({error}); export the series again"
        ) from error


def _frame(instance: Instance, number: int, groups: Sequence[Any]) -> Slice:
    """A frame of an enhanced image; what all frames share is said once."""

    def group(name: str) -> "Dataset":
        return next(part[name][0] for part in groups if name in part)

    try:
        transformation = group("PixelValueTransformationSequence")
        return _plane(
            instance,
            number,
            group("PlaneOrientationSequence"),
            group("PixelMeasuresSequence"),
            transformation,
            group("PlanePositionSequence"),
        )
    except StopIteration as error:
        raise ValueError(f"frame {number + 1} lacks a functional group") from error


def _plane(
    instance: Instance,
    frame: int | None,
    orientation: "Dataset",
    measures: "Dataset",
    rescale: "Dataset",
    position: "Dataset | None" = None,
) -> Slice:
    row, column = (float(value) for value in measures.PixelSpacing)
    place = orientation if position is None else position
    values = np.array([float(value) for value in orientation.ImageOrientationPatient]).reshape(2, 3)
    return Slice(
        instance,
        frame,
        np.array([float(value) for value in place.ImagePositionPatient]),
        values,
        (row, column),
        float(rescale.get("RescaleSlope", 1)),
        float(rescale.get("RescaleIntercept", 0)),
    )


def _require_alike(slices: Sequence[Slice]) -> None:
    first = slices[0]
    size = (first.instance.header.Rows, first.instance.header.Columns)
    for plane in slices:
        header = plane.instance.header
        if (header.Rows, header.Columns) != size:
            raise InputError(
                f"{plane.path}: {header.Rows} × {header.Columns} voxels, {first.path} has "
                f"{size[0]} × {size[1]}; expected slices of one size"
            )
        if np.abs(plane.orientation - first.orientation).max() > SAME:
            raise InputError(f"{plane.path}: turned against {first.path}; expected slices of one orientation")
        if np.abs(np.subtract(plane.spacing, first.spacing)).max() > SAME:
            raise InputError(f"{plane.path}: voxels of another size than {first.path} has; expected one size")


def _require_regular(slices: Sequence[Slice]) -> None:
    places = np.array([plane.along for plane in slices])
    steps = np.diff(places)
    usual = float(np.median(steps))
    for number, step in enumerate(steps):
        before, after = slices[number].path, slices[number + 1].path
        if step < SAME:
            raise InputError(
                f"{after}: at the same place as {before}; a slice is there twice, or the series has several "
                "times or gates: export one alone"
            )
        if abs(step - usual) > TOLERANCE * usual:
            raise InputError(
                f"{after}: {step:.3f} mm from {before}, others are {usual:.3f} mm apart; a slice is missing, "
                "or the distances vary: export all slices, resampled to one distance"
            )
    normal = np.cross(*slices[0].orientation)
    for plane in slices:
        offset = plane.position - slices[0].position
        shift = float(np.linalg.norm(offset - (offset @ normal) * normal))
        if shift > SHIFT:
            raise InputError(
                f"{plane.path}: shifted {shift:.2f} mm in its plane against {slices[0].path}, as by a tilted "
                "gantry; export the series straightened"
            )
