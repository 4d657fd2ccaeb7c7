"""One case at work: its images, its clicks, and the mask of the last time it was segmented."""

import json
import logging
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from common.case import Click
from common.errors import InputError
from common.geometry import Geometry
from common.grandchallenge.clicks import document_of, read_clicks
from common.grandchallenge.dicom_case import is_study
from common.grandchallenge.images import read_image
from common.grandchallenge.interface import Interface
from common.grandchallenge.itk import image_of
from common.grandchallenge.reading import read_case
from common.memory import available_memory
from common.model.interface import interface_of
from common.model.reading import read_model
from common.model.settings import Values, choose
from common.report.lesions import lesions_of
from common.report.pictures import png, projections
from common.report.study import read_study
from common.report.writing import write_report
from common.session import Session
from common.viewer.cache import RememberingPool

logger = logging.getLogger(__name__)

SHARE = 4
"""Of the free memory, the part that tiles may take."""
CLICKS = "lesion-clicks.json"


class Desk:
    """The work on one case; everything it writes is below `output`.

    `work/` has the case as it is segmented; its clicks are written at every change, so that none is lost.
    Raises as `Session` and `read_case`.
    """

    def __init__(
        self, case_dir: Path, name: str, model_dir: Path, output: Path, arguments: Values | None = None
    ) -> None:
        self.output = output
        model = read_model(model_dir, name)
        self._interface: Interface = interface_of(name, model)
        values, _ = choose(arguments or {}, model.run, self._interface.run)
        self._pool = RememberingPool(values["engine"], values["precision"], available_memory() // SHARE)
        settings = {"time_limit": None, **(arguments or {})}
        self._session = Session(name, model_dir, settings, engines=self._pool)
        self._case_dir = output / "work/input"
        self._results = output / "work/output"
        self._mask: NDArray[np.bool_] | None = None
        self._mask_path: Path | None = None
        self._at_work = threading.Lock()
        self._lay_out(case_dir)
        case = read_case(self._case_dir, self._interface)
        self.geometry: Geometry = case.geometry
        self._pet = case.images["pet"]
        self.images = self._write_images(case.images)

    @property
    def clicks(self) -> list[Click]:
        """Those of the last change, also of an earlier server."""
        return list(read_clicks(self._case_dir / CLICKS))

    def put_clicks(self, points: Sequence[dict[str, Any]]) -> None:
        """Take over all clicks: `name`, and `mm`, the place in NIfTI's space (x to the right, y ahead).

        Raises `InputError` for points that are none, or lie outside the image.
        """
        try:
            clicks = [Click(self._voxel(point["mm"]), point["name"]) for point in points]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"clicks: {error}; expected a list of name and mm") from error
        self._save_clicks(clicks)

    def places(self) -> list[dict[str, Any]]:
        """The clicks as `put_clicks` takes them."""
        return [{"name": click.name, "mm": self._place(click.point)} for click in self.clicks]

    def segment(self) -> dict[str, Any]:
        """Segment with the clicks as they are; what changed, and the lesions. Raises as `Session.segment`."""
        with self._at_work:
            start = time.monotonic()
            self._pool.remembered.count()
            self._mask_path = self._session.segment(self._case_dir, self._results, start)
            seconds = time.monotonic() - start
            mask = read_image(self._mask_path).voxels > 0
            before, self._mask = self._mask, mask
            SimpleITK.WriteImage(image_of(mask.astype(np.uint8), self.geometry), str(self.mask_file))
            lesions, _ = lesions_of(mask, self._pet, self.geometry)
            changed = int((mask != before).sum()) if before is not None else int(mask.sum())
            remembered = self._pool.remembered
            return {
                "seconds": seconds,
                "volume": float(mask.sum()) * self.geometry.voxel_volume_ml,
                "changed": changed * self.geometry.voxel_volume_ml,
                "tiles": {"computed": remembered.computed, "reused": remembered.reused},
                "lesions": [
                    {
                        "number": lesion.number,
                        "volume": lesion.volume,
                        "suv_max": lesion.suv_max,
                        "mm": [-lesion.centroid[0], -lesion.centroid[1], lesion.centroid[2]],
                    }
                    for lesion in lesions
                ],
            }

    @property
    def mask_file(self) -> Path:
        """The mask for the page."""
        return self.output / "work/page/mask.nii"

    def projection(self) -> bytes:
        """The coronal maximum with outline and clicks, as PNG; raises `InputError` before there is a mask."""
        return png(projections(read_study(self._case_dir, self._found_mask(), interface=self._interface))[0])

    def save(self) -> list[Path]:
        """Write the clicks, the mask and its report; raises `InputError` before there is a mask."""
        mask = self._found_mask()
        saved = [self.output / CLICKS, self.output / "images" / mask.parent.name / mask.name]
        saved[1].parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._case_dir / CLICKS, saved[0])
        shutil.copyfile(mask, saved[1])
        study = read_study(self._case_dir, mask, interface=self._interface)
        return [*saved, write_report(study, self.output / "report")]

    def _found_mask(self) -> Path:
        if self._mask_path is None:
            raise InputError("there is no mask yet; segment first")
        return self._mask_path

    def _lay_out(self, case_dir: Path) -> None:
        """The case's images where they are, and clicks that can be changed."""
        if not case_dir.is_dir():
            raise InputError(f"{case_dir}: no such folder; give the case's input folder")
        if is_study(case_dir):
            raise InputError(f"{case_dir}: DICOM series; make a case of them first (petct convert)")
        for socket in self._interface.inputs:
            source, place = case_dir / socket.relative_path, self._case_dir / socket.relative_path
            place.parent.mkdir(parents=True, exist_ok=True)
            if socket.kind == "image" and source.exists():
                place.unlink(missing_ok=True)
                place.symlink_to(source.resolve())
            elif socket.relative_path == CLICKS and not place.exists():
                self._save_clicks(read_clicks(source) if source.exists() else ())

    def _write_images(self, images: dict[str, NDArray[np.float32]]) -> dict[str, Path]:
        folder = self.mask_file.parent
        folder.mkdir(parents=True, exist_ok=True)
        self.mask_file.unlink(missing_ok=True)
        paths = {name: folder / f"{name}.nii" for name in images}
        for name, path in paths.items():
            SimpleITK.WriteImage(image_of(images[name], self.geometry), str(path))
        return paths

    def _save_clicks(self, clicks: Sequence[Click]) -> None:
        path = self._case_dir / CLICKS
        part = path.with_suffix(".part")
        part.write_text(json.dumps(document_of(clicks), indent=1) + "\n", encoding="utf-8")
        part.replace(path)

    def _voxel(self, mm: Sequence[float]) -> tuple[float, float, float]:
        """The nearest voxel (x, y, z) of a place in NIfTI's space."""
        x, y, z = (float(value) for value in mm)
        axes = np.reshape(self.geometry.direction, (3, 3))
        offset = np.array([-x, -y, z]) - self.geometry.origin
        voxel = np.rint((offset @ axes) / self.geometry.spacing)
        if ((voxel < 0) | (voxel >= self.geometry.size)).any():
            raise ValueError(f"found a point at {list(mm)} mm, which is outside of the image")
        return (int(voxel[0]), int(voxel[1]), int(voxel[2]))

    def _place(self, point: tuple[float, float, float]) -> list[float]:
        axes = np.reshape(self.geometry.direction, (3, 3))
        x, y, z = np.array(self.geometry.origin) + axes @ (np.array(point) * self.geometry.spacing)
        return [-float(x), -float(y), float(z)]
