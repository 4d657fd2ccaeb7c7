"""A phantom, and one network for both: the case that benchmarks of a whole prediction share."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.clinical import INTENSITIES, SPACING
from common.case import Case
from common.demo.phantom.phantom import make_phantom
from common.geometry import Geometry
from common.inference.options import Options
from common.model.reading import read_model

FOLDER = Path(__file__).parents[1] / "build" / "benchmarks"
PATCH = (96, 112, 96)
FEATURES = (16, 32, 64, 128, 160)
BLOCKS = (1, 2, 2, 2, 2)

Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Scenario:
    """A phantom of that shape (z, y, x) and a network of six million parameters with random weights."""

    name: str
    shape: tuple[int, int, int]
    mirror_axes: tuple[int, ...]

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return FOLDER / self.name

    def write(self) -> None:
        """Write the phantom, both checkpoints and the exported model."""
        from benchmarks.originals.checkpoints import write_pair
        from common.demo.plans_v2 import Design, make_dataset, make_plans
        from containers.autopet_interactive.export import export

        shutil.rmtree(self.folder, ignore_errors=True)
        design = Design(SPACING, PATCH, 1, FEATURES, BLOCKS, ("CTNormalization", "CTNormalization"))
        plans, dataset = (
            make_plans(design, INTENSITIES, self.shape),
            make_dataset(("CT", "PET"), ("tumor",), 1),
        )
        checkpoint, _ = write_pair(self.folder, plans, dataset, folds=1, mirror_axes=self.mirror_axes)
        export(checkpoint, self.folder / "model")
        phantom = make_phantom(0, self.shape, SPACING)
        np.save(self.folder / "ct.npy", phantom.ct)
        np.save(self.folder / "pet.npy", phantom.pet)

    def petct(self, options: Options) -> Callable[[], Mask]:
        """This project, ready to run on the images in memory."""
        from containers.autopet_interactive.algorithm import segment

        model = read_model(self.folder / "model", "autopet_interactive")
        geometry = Geometry(self.shape[::-1], SPACING[::-1], (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
        case = Case(dict(zip(("ct", "pet"), self._images(), strict=True)), geometry, self.name)
        return lambda: segment(case, model, options)

    def nnunet(self, change: Callable[[Any], None] = lambda predictor: None) -> Callable[[], Mask]:
        """nnU-Net as it comes, but for what `change` does to its predictor, ready to run in memory."""
        from benchmarks.originals import nnunet_v2

        predictor = nnunet_v2.load(self.folder / "nnunet", [0])
        change(predictor)
        no_clicks = np.zeros((2, *self.shape), np.float32)
        images = np.stack([*self._images(), *no_clicks])
        return lambda: nnunet_v2.segment(predictor, images, SPACING)

    def _images(self) -> list[NDArray[np.float32]]:
        return [np.load(self.folder / f"{name}.npy") for name in ("ct", "pet")]
