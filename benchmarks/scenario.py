"""A phantom, and one network for both: the case that benchmarks of a whole prediction share."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.case import Case
from common.demo.phantom.phantom import make_phantom
from common.geometry import Geometry
from common.inference.options import Options
from common.model.reading import read_model

FOLDER = Path(__file__).parents[1] / "build" / "benchmarks"
SPACING = (3.0, 2.04, 2.04)
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
        from containers.autopet_interactive.export import export
        from tests.peers.checkpoints import write_pair
        from tests.support.golden_cases import autopet_dataset, autopet_plans

        shutil.rmtree(self.folder, ignore_errors=True)
        plans, dataset = with_network(autopet_plans()), autopet_dataset()
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
        from tests.peers import nnunet_v2

        predictor = nnunet_v2.load(self.folder / "nnunet", [0])
        change(predictor)
        no_clicks = np.zeros((2, *self.shape), np.float32)
        images = np.stack([*self._images(), *no_clicks])
        return lambda: nnunet_v2.segment(predictor, images, SPACING)

    def _images(self) -> list[NDArray[np.float32]]:
        return [np.load(self.folder / f"{name}.npy") for name in ("ct", "pet")]


def with_network(
    plans: dict[str, Any],
    patch: Sequence[int] = PATCH,
    features: Sequence[int] = FEATURES,
    blocks: Sequence[int] = BLOCKS,
) -> dict[str, Any]:
    """Give nnU-Net v2's plans a clinical spacing, a patch, and a residual encoder of those stages."""
    configuration = plans["configurations"]["3d_fullres"]
    configuration |= {"patch_size": list(patch), "spacing": list(SPACING)}
    stages = len(features)
    configuration["architecture"]["arch_kwargs"] |= {
        "n_stages": stages,
        "features_per_stage": list(features),
        "kernel_sizes": [[3, 3, 3]] * stages,
        "strides": [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
        "n_blocks_per_stage": list(blocks),
        "n_conv_per_stage_decoder": [1] * (stages - 1),
    }
    return plans
