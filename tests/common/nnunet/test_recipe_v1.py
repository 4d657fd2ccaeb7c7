"""nnU-Net v1's recipe from end to end, on the golden case."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from common.errors import InputError
from common.export.checkpoints.v1.plans import MIRROR_AXES, PLANS_FILE, read_network_plan, read_plans_v1
from common.export.checkpoints.v1.unet import load_unet
from common.export.network import export_network
from common.inference.network import Network
from common.inference.options import Options
from common.inference.predict import predict
from common.inference.volume import ArrayChannel, Volume
from common.nnunet.normalise import mean_and_std
from common.nnunet.plans import ChannelSpec, Plans, Resampling, Statistics
from common.nnunet.preprocess import preprocess
from common.nnunet.space import NetworkSpace
from tests.golden import synth
from tests.support import golden_data

FOLDER = golden_data.GOLDEN / "nnunet_v1" / "model"
CASE = golden_data.document("nnunet_v1/case.json")

CT = Statistics(mean=30, std=200, percentile_00_5=-400, percentile_99_5=500)

Preprocessed = tuple[list[NDArray[np.float32]], NetworkSpace]


@pytest.fixture(scope="module")
def expected() -> dict[str, NDArray[np.float32]]:
    return golden_data.expected("nnunet_v1")


@pytest.fixture(scope="module")
def preprocessed() -> Preprocessed:
    first, second = synth.image(CASE["seed"], (2, *CASE["shape_zyx"]))
    ct, pet = first * 400 - 100, np.exp(second)
    for image in (ct, pet):
        image[:2] = image[:, :3] = image[:, :, -4:] = 0
    return preprocess([pet, ct], tuple(CASE["spacing_zyx"]), read_plans_v1(FOLDER / PLANS_FILE))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    folder = tmp_path_factory.mktemp("nnunet_v1")
    checkpoint = folder / "model_final_checkpoint.model"
    torch.save({"state_dict": golden_data.weights("nnunet_v1/layout.json", "fold_0/")}, checkpoint)
    network_plan, plans = read_network_plan(FOLDER / PLANS_FILE), read_plans_v1(FOLDER / PLANS_FILE)
    return export_network(
        folder,
        "segmentation",
        ["0"],
        lambda fold: load_unet(network_plan, checkpoint),
        channels=[channel.name for channel in plans.channels],
        patch=plans.patch,
        classes=network_plan.classes,
        mirror_axes=MIRROR_AXES,
        plans=plans,
    )


def test_channels_are_the_originals(
    preprocessed: Preprocessed, expected: dict[str, NDArray[np.float32]]
) -> None:
    np.testing.assert_allclose(np.stack(preprocessed[0]), expected["preprocessed"], rtol=0, atol=2e-3)


def test_probability_is_the_originals(
    preprocessed: Preprocessed, network: Network, expected: dict[str, NDArray[np.float32]]
) -> None:
    channels, space = preprocessed
    volume = Volume(space.shape, [ArrayChannel(channel) for channel in channels])
    probability = predict(volume, network, Options(), "probability")
    np.testing.assert_allclose(probability, expected["foreground_probability"], rtol=0, atol=2e-3)


def test_segmentation_is_the_originals(
    preprocessed: Preprocessed, expected: dict[str, NDArray[np.float32]]
) -> None:
    _, space = preprocessed
    probability = expected["foreground_probability"]
    mask = space.mask(probability, threshold=0.5)
    undecided = space.mask(probability, threshold=0.499) != space.mask(probability, threshold=0.501)
    different = mask != expected["segmentation"]
    assert not np.any(different & ~undecided)
    assert different.sum() < 10


def plans(channel: ChannelSpec) -> Plans:
    return Plans(1, (8, 8, 8), (2.0, 2.0, 2.0), (0, 1, 2), (channel,), Resampling(3), Resampling(1))


def notched() -> NDArray[np.float32]:
    """A cube with a corner of air, which a box around it cannot leave out."""
    image = np.random.default_rng(0).uniform(-600, 800, (12, 12, 12)).astype(np.float32)
    image[:5, :5, :5] = 0
    return image


def test_resampling_comes_before_normalisation() -> None:
    (channel,), _ = preprocess([notched()], (1, 1, 1), plans(ChannelSpec("PET", "z_score")))
    assert channel.shape == (6, 6, 6)
    assert mean_and_std(channel) == pytest.approx((0, 1), abs=1e-5)


@pytest.mark.parametrize("channel", [ChannelSpec("PET", "z_score", True), ChannelSpec("CT", "ct", True, CT)])
def test_outside_the_resampled_mask_is_zero(channel: ChannelSpec) -> None:
    (result,), _ = preprocess([notched()], (1, 1, 1), plans(channel))
    # The corner of five voxels ends in the middle of the third, which counts as inside.
    np.testing.assert_array_equal(np.argwhere(result == 0), np.argwhere(np.ones((2, 2, 2))))


def test_mean_and_spread_are_those_inside_the_mask() -> None:
    (result,), _ = preprocess([notched()], (1, 1, 1), plans(ChannelSpec("PET", "z_score", use_mask=True)))
    assert mean_and_std(result, result != 0) == pytest.approx((0, 1), abs=1e-5)


def test_ct2_scales_by_the_images_own_voxels_between_the_percentiles() -> None:
    image = notched()
    inside = image[(image > -400) & (image < 500)]
    same_spacing = (2.0, 2.0, 2.0)
    (result,), _ = preprocess([image.copy()], same_spacing, plans(ChannelSpec("CT", "ct2", statistics=CT)))
    expected = (np.clip(image, -400, 500) - inside.mean()) / inside.std()
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-4)


def test_an_image_outside_ct2s_percentiles_is_refused() -> None:
    with pytest.raises(InputError, match="CT: found no intensity between -400 and 500"):
        preprocess([notched() + 5000], (1, 1, 1), plans(ChannelSpec("CT", "ct2", statistics=CT)))
