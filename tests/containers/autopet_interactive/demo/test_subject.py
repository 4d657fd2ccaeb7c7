from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from common.demo.phantom.phantom import Phantom, make_phantom
from common.nnunet.plans import ChannelSpec, Plans, Resampling
from containers.autopet_interactive.demo.subject import ClickedSubject

GRID = (120, 48, 64), (8.0, 8.0, 8.0)


def plans(spacing: float) -> Plans:
    return Plans(
        generation=2,
        patch=(16, 16, 16),
        spacing=(spacing,) * 3,
        transpose_forward=(0, 1, 2),
        channels=(ChannelSpec("CT", "none"), ChannelSpec("PET", "none")),
        resample_data=Resampling(order=3),
        resample_prediction=Resampling(order=1),
    )


@pytest.fixture
def phantom() -> Phantom:
    return make_phantom(1, *GRID)


def channels(subject: ClickedSubject, seed: int) -> NDArray[np.float32]:
    return subject.volume(np.random.default_rng(seed)).tile((0, 0, 0), subject.space.shape)


def test_channels_are_ct_pet_and_two_of_clicks(phantom: Phantom) -> None:
    ct, pet = phantom.ct.copy(), phantom.pet.copy()
    tile = channels(ClickedSubject.of(phantom, plans(8.0)), 0)
    assert np.array_equal(tile[0], ct)
    assert np.array_equal(tile[1], pet)
    assert len(tile) == 4
    assert 0 <= tile[2:].min() <= tile[2:].max() <= 1


def test_clicks_change_and_are_missing_now_and_then(phantom: Phantom) -> None:
    subject = ClickedSubject.of(phantom, plans(8.0))
    painted = [channels(subject, seed)[2:] for seed in range(40)]
    without = sum(not clicks.any() for clicks in painted)
    assert 5 <= without <= 20
    assert sum(np.array_equal(one, two) for one, two in pairwise(painted)) < 15


def test_tumour_clicks_stay_in_lesions_and_background_clicks_out(phantom: Phantom) -> None:
    subject = ClickedSubject.of(phantom, plans(8.0))
    truth = subject.truth.tile((0, 0, 0), subject.space.shape)[0]
    for seed in range(30):
        tumor, background = channels(subject, seed)[2:]
        assert truth[tumor == 1].all()
        assert not truth[background == 1].any()


def test_truth_and_centres_follow_the_spacing_of_the_network() -> None:
    phantom = make_phantom(1)
    subject = ClickedSubject.of(phantom, plans(3.2))
    assert subject.space.shape == (300, 120, 160)
    truth = subject.truth.tile((0, 0, 0), subject.space.shape)[0]
    assert truth.sum() * 3.2**3 == pytest.approx(phantom.truth.sum() * 4.0**3, rel=0.15)
    hits = [
        truth[centre] == (click.name == "tumor")
        for centre, click in zip(subject.centres, phantom.focus_clicks, strict=True)
    ]
    assert np.mean(hits) > 0.8
