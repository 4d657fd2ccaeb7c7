"""Pictures of a study: projections of the PET with outlines, and slices through lesions with PET on CT.

Every picture is one panel that fills its image, so that its millimetres are its pixels.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from common.report.lesions import Lesion
from common.report.study import Study
from common.report.view import View

MAX_SUV = 10.0
"""Black in a projection."""
CT_WINDOW = (-160.0, 240.0)
"""HU that are black and white: soft tissue."""
FUSED_FROM = 1.0
"""SUV below which the CT alone is seen."""
MASK_COLOUR, TRUTH_COLOUR = "#e4002b", "#00a03e"
CLICK_COLOURS = {"tumor": "#e4002b", "background": "#0057b8"}
MM_PER_INCH = 130.0
SLICE_MM_PER_INCH = 70.0
DPI = 100
SHEET_WIDTH, PROJECTIONS_HEIGHT, SLICES_HEIGHT = 11.0, 8.0, 3.4
"""Inches."""
COLUMNS = 3
"""Of slices on a sheet."""
SLICES = 6
"""As many lesions have a slice of their own."""
AROUND = 60.0
"""mm of the patient around a lesion in its slice, at least."""

Draw = Callable[[Axes], None]


@dataclass(frozen=True)
class Picture:
    """A panel that can be drawn into any axes."""

    title: str
    draw: Draw
    width: float
    """mm."""
    height: float
    """mm."""
    lesion: int | None = None
    """The number of the lesion that it shows."""


def projections(study: Study) -> list[Picture]:
    """Maximum intensity from the front (coronal) and the side (sagittal), with outlines and clicks."""
    view = View.of(study.geometry)
    turned = _turned(study, view)
    pictures = []
    for title, depth in (("coronal", 1), ("sagittal", 2)):
        across = 3 - depth
        spacing = (view.spacing[0], view.spacing[across])
        projected = {name: volume.max(axis=depth) for name, volume in turned.items() if name != "ct"}
        clicks = [
            (click.name, place[0], place[across])
            for click in study.case.clicks
            for place in [view.place(click.point, study.geometry.shape)]
        ]
        draw = partial(_draw_projection, projected=projected, spacing=spacing, clicks=clicks)
        height, width = (size * edge for size, edge in zip(projected["pet"].shape, spacing, strict=True))
        pictures.append(Picture(title, draw, width, height))
    return pictures


def slices(study: Study) -> list[Picture]:
    """An axial slice through each of the largest lesions, where it has most voxels."""
    view = View.of(study.geometry)
    turned = _turned(study, view)
    return [_slice(study, lesion, view, turned) for lesion in study.lesions[:SLICES]]


def png(picture: Picture, mm_per_inch: float = MM_PER_INCH) -> bytes:
    """The picture alone, to its edges."""
    figure = Figure(figsize=(picture.width / mm_per_inch, picture.height / mm_per_inch), dpi=DPI)
    picture.draw(figure.add_axes((0, 0, 1, 1)))
    return _bytes_of(figure)


def sheet(study: Study) -> bytes:
    """All pictures on one sheet, as PNG."""
    below = slices(study)
    rows = -(-len(below) // COLUMNS)
    heights = [PROJECTIONS_HEIGHT, *[SLICES_HEIGHT] * rows]
    figure = Figure(figsize=(SHEET_WIDTH, sum(heights)), dpi=DPI, layout="constrained")
    figure.suptitle(_headline(study))
    top, *others = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights).ravel()
    _fill(top, projections(study), 2)
    for row, part in enumerate(others):
        _fill(part, below[row * COLUMNS : (row + 1) * COLUMNS], COLUMNS)
    return _bytes_of(figure)


def _headline(study: Study) -> str:
    totals = study.totals
    return f"{study.name}: {totals.lesions} lesions, MTV {totals.volume:.1f} ml, TLG {totals.tlg:.0f} ml"


def _fill(part: Any, pictures: Sequence[Picture], columns: int) -> None:
    cells = part.subplots(1, columns)
    for axes in cells:
        axes.set_axis_off()
    for axes, picture in zip(cells, pictures, strict=False):
        picture.draw(axes)
        axes.set_title(picture.title, fontsize=9)


def _turned(study: Study, view: View) -> dict[str, NDArray[Any]]:
    volumes = {"pet": study.pet, "ct": study.ct, "numbers": study.numbers, "truth": study.truth}
    return {name: view.turn(volume) for name, volume in volumes.items() if volume is not None}


def _draw_projection(
    axes: Axes,
    projected: dict[str, NDArray[Any]],
    spacing: tuple[float, float],
    clicks: Sequence[tuple[str, float, float]],
) -> None:
    _show(axes, projected["pet"], spacing, cmap="gray_r", vmin=0, vmax=MAX_SUV)
    _outline_both(axes, projected, spacing)
    for name, row, column in clicks:
        axes.plot(
            (column + 0.5) * spacing[1],
            (row + 0.5) * spacing[0],
            marker="+" if name == "tumor" else "x",
            markersize=7,
            color=CLICK_COLOURS[name],
        )


def _slice(study: Study, lesion: Lesion, view: View, turned: dict[str, NDArray[Any]]) -> Picture:
    inside = view.turn(study.numbers) == lesion.number
    row = int(inside.sum(axis=(1, 2)).argmax())
    rows, columns = (np.flatnonzero(inside[row].any(axis=axis)) for axis in (1, 0))
    spacing = (view.spacing[1], view.spacing[2])
    window = tuple(
        _widened(found, edge, size)
        for found, edge, size in zip((rows, columns), spacing, inside.shape[1:], strict=True)
    )
    parts = {name: volume[row][window] for name, volume in turned.items()}
    height, width = (size * edge for size, edge in zip(parts["pet"].shape, spacing, strict=True))
    title = f"lesion {lesion.number}: {lesion.volume:.1f} ml, SUVmax {lesion.suv_max:.1f}"
    return Picture(title, partial(_draw_slice, parts=parts, spacing=spacing), width, height, lesion.number)


def _widened(found: NDArray[np.intp], edge: float, size: int) -> slice:
    more = round(AROUND / edge)
    return slice(max(0, int(found[0]) - more), min(size, int(found[-1]) + 1 + more))


def _draw_slice(axes: Axes, parts: dict[str, NDArray[Any]], spacing: tuple[float, float]) -> None:
    pet = parts["pet"]
    if "ct" in parts:
        _show(axes, parts["ct"], spacing, cmap="gray", vmin=CT_WINDOW[0], vmax=CT_WINDOW[1])
        strength = np.clip(pet / MAX_SUV, 0, 0.7) * (pet >= FUSED_FROM)
        _show(axes, pet, spacing, cmap="hot", vmin=0, vmax=MAX_SUV, alpha=strength)
    else:
        _show(axes, pet, spacing, cmap="gray_r", vmin=0, vmax=MAX_SUV)
    _outline_both(axes, parts, spacing)


def _show(axes: Axes, image: NDArray[Any], spacing: tuple[float, float], **how: Any) -> None:
    height, width = (size * edge for size, edge in zip(image.shape, spacing, strict=True))
    axes.imshow(image, extent=(0, width, height, 0), interpolation="bilinear", aspect="equal", **how)
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()


def _outline_both(axes: Axes, planes: dict[str, NDArray[Any]], spacing: tuple[float, float]) -> None:
    if "truth" in planes:
        _outline(axes, planes["truth"] > 0, spacing, TRUTH_COLOUR)
    _outline(axes, planes["numbers"] > 0, spacing, MASK_COLOUR)


def _outline(axes: Axes, mask: NDArray[np.bool_], spacing: tuple[float, float], colour: str) -> None:
    """The border of a mask, half way between its voxels and their neighbours."""
    if not mask.any():
        return
    padded = np.pad(mask, 1).astype(np.float32)
    rows, columns = ((np.arange(size) - 0.5) * edge for size, edge in zip(padded.shape, spacing, strict=True))
    axes.contour(columns, rows, padded, levels=[0.5], colors=[colour], linewidths=1)


def _bytes_of(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()
