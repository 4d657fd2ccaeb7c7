"""A phantom as the network sees it in training: with some of its clicks, each time others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.case import Click
from common.demo.phantom.phantom import Phantom
from common.inference.volume import ArrayChannel, Volume
from common.nnunet.plans import Plans
from common.nnunet.preprocess import preprocess
from common.nnunet.resample import Shape, resample
from common.nnunet.space import NetworkSpace
from containers.autopet_interactive.prompts import ClickSettings, click_channels

CLICKS = ClickSettings(point_width=2, encoding="distance")
UNPROMPTED = 0.25
"""Share of patches without any click."""
FEWEST = 0.2
"""The smallest share of its clicks that any other patch is drawn with, on average."""
MISPLACED = 1
"""How many voxels of the image a click may be off, along each axis."""


@dataclass(frozen=True)
class ClickedSubject:
    """A preprocessed phantom; see `common.demo.patches.Subject`."""

    images: Sequence[NDArray[np.float32]]
    """CT and PET, normalised, in network space."""
    space: NetworkSpace
    truth: Volume
    phantom_truth: NDArray[np.uint8]
    """On the phantom's own grid (z, y, x), to which the clicks belong."""
    focus_clicks: tuple[Click, ...]
    organ_clicks: tuple[Click, ...]

    @classmethod
    def of(cls, phantom: Phantom, plans: Plans) -> "ClickedSubject":
        """Preprocess a phantom, whose images are used up."""
        images, space = preprocess([phantom.ct, phantom.pet], phantom.geometry.spacing_zyx, plans)
        return cls(
            images, space, _truth(phantom, space), phantom.truth, phantom.focus_clicks, phantom.organ_clicks
        )

    @property
    def places(self) -> Sequence[Shape]:
        """Where lesions and inflamed foci are."""
        return [self.space.point(click.point) for click in self.focus_clicks]

    def volume(self, rng: np.random.Generator) -> Volume:
        """Give CT, PET and the two channels of clicks, as at inference."""
        clicks = list(self._some_clicks(rng))
        channels = click_channels(clicks, self.space, CLICKS)
        return Volume(self.space.shape, [*map(ArrayChannel, self.images), *channels])

    def _some_clicks(self, rng: np.random.Generator) -> Iterator[Click]:
        share = 0.0 if rng.random() < UNPROMPTED else rng.uniform(FEWEST, 1)
        for click in self.focus_clicks + self.organ_clicks:
            if rng.random() < share:
                yield self._misplaced(click, rng)

    def _misplaced(self, click: Click, rng: np.random.Generator) -> Click:
        """The click a little beside, unless it would then lie in something else."""
        x, y, z = (np.array(click.point) + rng.integers(-MISPLACED, MISPLACED, 3, endpoint=True)).tolist()
        size = self.phantom_truth.shape
        inside = 0 <= z < size[0] and 0 <= y < size[1] and 0 <= x < size[2]
        if inside and bool(self.phantom_truth[int(z), int(y), int(x)]) == (click.name == "tumor"):
            return replace(click, point=(x, y, z))
        return click


def _truth(phantom: Phantom, space: NetworkSpace) -> Volume:
    plans = space.plans
    cropped = phantom.truth.transpose(plans.transpose_forward)[space.crop].astype(np.float32)
    resampled = resample(cropped, space.shape, space.image_spacing, plans.spacing, plans.resample_prediction)
    return Volume(space.shape, [ArrayChannel((resampled > 0.5).astype(np.float32))])
