from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from common.case import Case
from common.demo.phantom.phantom import Phantom, make_phantom
from common.errors import InputError
from common.inference.engines.ladder import make_engine
from common.inference.options import Options
from common.model.model import Model
from common.model.reading import read_model
from containers.gepnet.algorithm import segment

SHAPE = (32, 32, 32)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    """At the plans' spacing, and as large as one tile."""
    return make_phantom(1, SHAPE)


def case(phantom: Phantom, *names: str) -> Case:
    images = {"pet": phantom.pet.copy(), "ct": phantom.ct.copy()}
    return Case({name: images[name] for name in names}, phantom.geometry, "phantom")


def without_mirroring(folder: Path, *folds: int) -> Model:
    model = read_model(folder, "gepnet")
    (network,) = model.networks
    chosen = tuple(network.folds[fold] for fold in folds)
    return replace(model, networks=(replace(network, mirror_axes=(), folds=chosen),))


def probability(phantom: Phantom, model: Model) -> NDArray[np.float64]:
    """The mean over folds of what the networks say of the one tile."""
    pet = (phantom.pet - phantom.pet.mean()) / (phantom.pet.std() + 1e-8)
    paths = [fold.path for fold in model.networks[0].folds if fold.path]
    logits = [make_engine(path).run(pet[None, None])[0] for path in paths]
    return np.asarray(
        np.mean([1 / (1 + np.exp(background - lesion)) for background, lesion in logits], axis=0)
    )


@pytest.mark.parametrize("folds", [(0,), (0, 1)])
def test_the_mask_is_where_the_folds_mean_probability_exceeds_a_half(
    phantom: Phantom, pet_model: Path, folds: tuple[int, ...]
) -> None:
    model = without_mirroring(pet_model, *folds)
    expected = probability(phantom, model)
    mask = segment(case(phantom, "pet"), model, Options())
    sure = np.abs(expected - 0.5) > 1e-4
    assert 0 < mask.sum() < mask.size
    np.testing.assert_array_equal(mask[sure], expected[sure] > 0.5)


def test_a_ct_that_the_model_does_not_want_changes_nothing(phantom: Phantom, pet_model: Path) -> None:
    model = without_mirroring(pet_model, 0)
    without, with_ct = (
        segment(case(phantom, *names), model, Options()) for names in (("pet",), ("pet", "ct"))
    )
    np.testing.assert_array_equal(without, with_ct)


def test_a_model_of_two_channels_sees_the_ct(phantom: Phantom, pet_ct_model: Path) -> None:
    model = without_mirroring(pet_ct_model, 0)
    flipped = case(phantom, "pet", "ct")
    flipped.images["ct"] = flipped.images["ct"][::-1].copy()
    masks = [segment(seen, model, Options()) for seen in (case(phantom, "pet", "ct"), flipped)]
    assert (masks[0] != masks[1]).any()


def test_a_model_of_two_channels_refuses_a_case_without_ct(phantom: Phantom, pet_ct_model: Path) -> None:
    with pytest.raises(InputError, match="give the case its CT"):
        segment(case(phantom, "pet"), read_model(pet_ct_model, "gepnet"), Options())
