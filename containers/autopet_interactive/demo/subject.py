"""Phantoms as training cases with a random subset of their clicks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from common.case import Click
from common.demo.phantom.phantom import Phantom
from common.demo.subjects import binary
from common.inference.volume import ArrayChannel, Volume
from common.nnunet.plans import Plans
from common.nnunet.preprocess import preprocess
from common.nnunet.resample import Shape
from common.nnunet.space import NetworkSpace
from containers.autopet_interactive.prompts import ClickSettings, click_channels

CLICKS = ClickSettings(point_width=2, encoding="distance")
NO_CLICKS_PROBABILITY = 0.25
"""Probability that a patch has no clicks at all."""
MIN_CLICK_PROBABILITY = 0.2
"""For any other patch, the probability of each click is sampled between this and 1."""
MAX_CLICK_OFFSET = 1
"""Maximum random displacement of a click along each axis, in voxels of the image."""


@dataclass(frozen=True)
class ClickedSubject:
    """A preprocessed phantom; see `common.demo.patches.Subject`."""

    images: Sequence[NDArray[np.float32]]
    """CT and PET, normalised, in network space, (z, y, x)."""
    space: NetworkSpace
    truth: Volume
    phantom_truth: NDArray[np.uint8]
    """Ground truth on the phantom's grid (z, y, x), in which the clicks are given."""
    focus_clicks: tuple[Click, ...]
    organ_clicks: tuple[Click, ...]

    @classmethod
    def of(cls, phantom: Phantom, plans: Plans) -> "ClickedSubject":
        """Preprocess a phantom; its images are overwritten."""
        images, space = preprocess([phantom.ct, phantom.pet], phantom.geometry.spacing_zyx, plans)
        return cls(
            images, space, _truth(phantom, space), phantom.truth, phantom.focus_clicks, phantom.organ_clicks
        )

    @property
    def centres(self) -> Sequence[Shape]:
        """Centres of lesions and inflamed foci, (z, y, x)."""
        return [self.space.point(click.point) for click in self.focus_clicks]

    def volume(self, rng: np.random.Generator) -> Volume:
        """Return CT, PET and the two click channels of a random subset of clicks."""
        clicks = list(self._some_clicks(rng))
        channels = click_channels(clicks, self.space, CLICKS)
        return Volume(self.space.shape, [*map(ArrayChannel, self.images), *channels])

    def _some_clicks(self, rng: np.random.Generator) -> Iterator[Click]:
        no_clicks = rng.random() < NO_CLICKS_PROBABILITY
        probability = 0.0 if no_clicks else rng.uniform(MIN_CLICK_PROBABILITY, 1)
        for click in self.focus_clicks + self.organ_clicks:
            if rng.random() < probability:
                yield self._displaced(click, rng)

    def _displaced(self, click: Click, rng: np.random.Generator) -> Click:
        """Displace a click randomly, unless it would leave its tissue (lesion or background)."""
        offset = rng.integers(-MAX_CLICK_OFFSET, MAX_CLICK_OFFSET, 3, endpoint=True)
        x, y, z = (np.array(click.point) + offset).tolist()
        size = self.phantom_truth.shape
        inside = 0 <= z < size[0] and 0 <= y < size[1] and 0 <= x < size[2]
        if inside and bool(self.phantom_truth[int(z), int(y), int(x)]) == (click.name == "tumor"):
            return replace(click, point=(x, y, z))
        return click


def _truth(phantom: Phantom, space: NetworkSpace) -> Volume:
    truth = space.from_image(phantom.truth.astype(np.float32), space.plans.resample_prediction)
    return Volume(space.shape, [ArrayChannel(binary(truth))])
