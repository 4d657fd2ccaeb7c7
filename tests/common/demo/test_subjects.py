import numpy as np
import pytest

from common.demo.phantom.phantom import Phantom, make_phantom
from common.demo.subjects import in_network_space
from common.nnunet.plans import ChannelSpec, Plans, Resampling

SPACING = (3.0, 3.0, 3.0)
PLANS = Plans(
    generation=1,
    patch=(32, 32, 32),
    spacing=SPACING,
    transpose_forward=(0, 1, 2),
    channels=(ChannelSpec("PET", "none"),),
    resample_data=Resampling(order=3),
    resample_prediction=Resampling(order=1),
)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(1, (240, 96, 32), lesions=8)


def test_the_truth_keeps_its_volume_at_the_plans_spacing(phantom: Phantom) -> None:
    subject = in_network_space(phantom, [phantom.pet], PLANS)
    truth = subject.truth.tile((0, 0, 0), subject.truth.shape)
    assert set(np.unique(truth)) == {0, 1}
    expected = phantom.truth.sum() * np.prod(phantom.geometry.spacing_zyx)
    assert truth.sum() * np.prod(SPACING) == pytest.approx(expected, rel=0.2)


def test_centres_lie_in_what_is_bright_around_them(phantom: Phantom) -> None:
    subject = in_network_space(phantom, [phantom.pet], PLANS)
    pet = subject.volume(np.random.default_rng(0))
    assert len(subject.centres) > 1
    for centre in subject.centres:
        assert pet.tile(centre, (1, 1, 1)).item() > np.median(phantom.pet)


def test_the_phantoms_own_images_stay_as_they_are(phantom: Phantom) -> None:
    before = phantom.pet.copy()
    in_network_space(phantom, [phantom.pet], PLANS)
    np.testing.assert_array_equal(phantom.pet, before)
