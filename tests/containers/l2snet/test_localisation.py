from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from common.inference.engines.contract import EngineInfo, TileByTile
from containers.l2snet.localisation import CHANNELS, TILE, localise
from tests.golden import synth
from tests.support import golden_data

Tiles = NDArray[np.float32]


class Pretended(TileByTile):
    """An engine that computes logits with a function, and keeps the tiles."""

    info = EngineInfo("pretended", "none", "float32", "0")
    tile_shape = (1, CHANNELS, *TILE)

    def __init__(self, foreground: Callable[[Tiles], Tiles]) -> None:
        self.foreground = foreground
        self.tiles: list[Tiles] = []

    def compute(self, tile: Tiles) -> Tiles:
        self.tiles.append(tile)
        logits = self.foreground(tile)
        return np.stack([np.zeros_like(logits), logits])


def middle(tile: Tiles) -> Tiles:
    """The middle slice as logits."""
    return tile[2]


def resized(plane: Tiles, shape: tuple[int, int]) -> Tiles:
    """As PyTorch resizes, which the original does."""
    tensor = torch.from_numpy(np.ascontiguousarray(plane))[None, None]
    return torch.nn.functional.interpolate(tensor, shape, mode="bilinear")[0, 0].numpy()


@pytest.fixture(scope="module")
def pet() -> Tiles:
    case = golden_data.document("l2snet/case.json")
    return (np.exp(synth.image(case["seed"], (1, *case["pet_shape_zyx"]))[0]) * 2).astype(np.float32)


def test_the_network_sees_five_resized_slices_in_a_row(pet: Tiles) -> None:
    engine = Pretended(middle)
    localise(pet, engine)
    assert len(engine.tiles) == pet.shape[2] - 4
    assert engine.tiles[0].shape == (5, 320, 384)
    for first in (0, 9):
        for channel in range(5):
            plane = resized(pet[:, :, first + channel].T, (400, 400))[40:360, 8:392] * (2 / 35) - 1
            np.testing.assert_allclose(engine.tiles[first][channel], plane, rtol=0, atol=1e-4)


def test_its_probability_comes_back_to_the_middle_slice(pet: Tiles) -> None:
    probability = localise(pet, Pretended(middle))
    assert probability.shape == pet.shape
    frame = np.zeros((400, 400), np.float32)
    seen = resized(pet[:, :, 7].T, (400, 400))[40:360, 8:392] * (2 / 35) - 1
    frame[40:360, 8:392] = 1 / (1 + np.exp(-seen))
    np.testing.assert_allclose(probability[:, :, 7], resized(frame, (49, 53)).T, rtol=0, atol=1e-4)


def test_the_outer_two_slices_on_both_sides_stay_zero(pet: Tiles) -> None:
    probability = localise(pet, Pretended(middle))
    assert not probability[:, :, [0, 1, -2, -1]].any()
    assert probability[:, :, 2:-2].any(axis=(0, 1)).all()


@pytest.mark.parametrize("width", range(1, 5))
def test_fewer_than_five_slices_give_no_cue(pet: Tiles, width: int) -> None:
    engine = Pretended(middle)
    assert not localise(pet[:, :, :width], engine).any()
    assert not engine.tiles


def test_intensities_beyond_the_range_are_not_clipped() -> None:
    engine = Pretended(middle)
    localise(np.full((400, 400, 5), 70, np.float32), engine)
    np.testing.assert_allclose(engine.tiles[0], 3, rtol=0, atol=1e-5)
