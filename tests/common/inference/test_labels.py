"""Labels of networks of several classes, whole and in bands of tiles."""

import logging
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from common.errors import ModelError
from common.inference import labels as module
from common.inference.engines import pool
from common.inference.engines.contract import Array, EngineInfo, TileByTile
from common.inference.files import NetworkFiles
from common.inference.labels import predict_labels, slices_that_fit
from common.inference.network import Fold, Network, Parity
from common.inference.options import Options
from common.inference.predict import predict
from common.inference.tiles import TileGrid
from common.inference.volume import ArrayChannel, Volume
from common.memory import MARGIN
from common.nnunet.plans import ChannelSpec, Plans, Resampling
from common.nnunet.slices import SLICES_HELD
from common.nnunet.space import NetworkSpace

PATCH = (4, 6, 8)
SHAPE = (13, 11, 10)
CROPPED = (20, 9, 15)
IMAGE = (22, 9, 16)
CLASSES = 4


class Loaded:
    """A ladder that counts what it loads."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def load(self, files: NetworkFiles) -> "Fanning":
        name = Path(files.name).stem
        self.paths.append(name)
        return Fanning(int(name))


class Fanning(TileByTile):
    """Gives each class the tile in a frequency of its own, other for every fold."""

    info = EngineInfo("fanning", "none", "float32", "0")
    tile_shape = (1, 1, *PATCH)

    def __init__(self, fold: int) -> None:
        self.fold = fold

    def compute(self, tile: Array) -> Array:
        frequencies = np.arange(1, CLASSES + 1, dtype=np.float32) + np.float32(0.1 * self.fold)
        return np.sin(tile * frequencies[:, None, None, None])


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Loaded:
    ladder = Loaded()
    monkeypatch.setattr(pool, "Ladder", lambda engine, precision: ladder)
    return ladder


def network(order: int = 1, classes: int = CLASSES) -> Network:
    channels = (ChannelSpec("PET", "none"),)
    plans = Plans(
        2,
        PATCH,
        (2.0, 2.0, 2.0),
        (0, 1, 2),
        channels,
        Resampling(3),
        Resampling(order, force_separate_z=False),
    )
    folds = tuple(Fold(name, Path(f"{name}.onnx"), Parity(0, 1)) for name in ("0", "1"))
    return Network("segmentation", ("PET",), PATCH, classes, (0, 2), folds, 0, plans)


def space(network: Network) -> NetworkSpace:
    crop = (slice(1, 21), slice(0, 9), slice(0, 15))
    return NetworkSpace(network.nnunet_plans, IMAGE, (1.3, 2.4, 1.33), crop, SHAPE)


VOLUME = Volume(SHAPE, [ArrayChannel(3 * np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32))])


def expected(network: Network) -> NDArray[np.int64]:
    """The mean over folds is that over voxels: these networks look at one voxel at a time."""
    voxels = VOLUME.tile((0, 0, 0), SHAPE)[None]
    means = np.mean([Fanning(int(fold.name)).compute(voxels[0]) for fold in network.folds], axis=0)
    there = space(network)
    labels = np.argmax([there.to_crop(mean) for mean in means], axis=0)
    return np.pad(labels, [(1, 1), (0, 0), (0, 1)])


@pytest.mark.parametrize("order", [1, 3])
def test_label_is_that_of_the_highest_resampled_logit(loaded: Loaded, order: int) -> None:
    several = network(order)
    found = predict_labels(VOLUME, several, space(several), Options())
    assert found.dtype == np.uint8
    assert set(np.unique(found)) == set(range(CLASSES))
    assert np.mean(found != expected(several)) < 0.001


@pytest.mark.parametrize("slices", [4, 6, 8])
def test_bands_give_the_labels_of_the_whole(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch, slices: int
) -> None:
    several = network()
    whole = predict_labels(VOLUME, several, space(several), Options())
    monkeypatch.setattr(module, "slices_that_fit", lambda shape, classes, memory: slices)
    np.testing.assert_array_equal(predict_labels(VOLUME, several, space(several), Options()), whole)


def test_short_memory_gives_the_same_labels_in_bands(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    several = network()
    whole = predict_labels(VOLUME, several, space(several), Options())
    half = 4 * CLASSES * np.prod(SHAPE) // 2
    beside_sums = np.prod(CROPPED) + np.prod(IMAGE) + 4 * CLASSES * SLICES_HELD * np.prod(CROPPED[1:])
    monkeypatch.setattr(module, "available_memory", lambda: int(MARGIN + beside_sums + half))
    with caplog.at_level(logging.INFO):
        np.testing.assert_array_equal(predict_labels(VOLUME, several, space(several), Options()), whole)
    assert "band 1 of " in caplog.text


def test_one_fold_is_loaded_once_for_all_bands(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "slices_that_fit", lambda shape, classes, memory: 1)
    several = network()
    predict_labels(VOLUME, several, space(several), Options(folds=("1",)))
    assert loaded.paths == ["1"]


def test_engines_are_loaded_no_more_often_than_the_bands_need(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "slices_that_fit", lambda shape, classes, memory: 6)
    several = network()
    bands = len(TileGrid(SHAPE, PATCH).bands(6))
    predict_labels(VOLUME, several, space(several), Options())
    assert bands > 2
    assert len(loaded.paths) == 1 + bands


def test_bands_keep_to_what_the_time_limit_allows(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    several = network()
    far = Options(deadline=time.monotonic() + 1e6)
    whole = predict_labels(VOLUME, several, space(several), far)
    monkeypatch.setattr(module, "slices_that_fit", lambda shape, classes, memory: 1)
    np.testing.assert_array_equal(predict_labels(VOLUME, several, space(several), far), whole)


def test_two_classes_give_the_mask_of_their_difference(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fanning, "compute", lambda engine, tile: np.concatenate([0 * tile, tile - 1]))
    two = network(classes=2)
    there = space(two)
    mask = there.mask(predict(VOLUME, two, Options()), threshold=0)
    np.testing.assert_array_equal(predict_labels(VOLUME, two, there, Options()), mask)


def test_a_network_of_several_classes_is_not_run_as_one_of_two(loaded: Loaded) -> None:
    with pytest.raises(ModelError, match="network segmentation has 4 classes, expected 2"):
        predict(VOLUME, network(), Options())


def test_a_file_of_other_classes_is_the_models_fault(loaded: Loaded) -> None:
    other = replace(network(), classes=3)
    with pytest.raises(ModelError, match=r"gives 4 classes, expected 3 as in model\.json"):
        predict_labels(VOLUME, other, space(other), Options())


def test_bands_take_less_memory_than_the_whole(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = (120, 32, 32)
    volume = Volume(shape, [ArrayChannel(np.ones(shape, np.float32))])
    several = network()
    crop = (slice(0, 120), slice(0, 32), slice(0, 32))
    there = NetworkSpace(several.nnunet_plans, shape, (2.0, 2.0, 2.0), crop, shape)

    def peak(slices: int) -> int:
        monkeypatch.setattr(module, "slices_that_fit", lambda shape, classes, memory: slices)
        tracemalloc.start()
        predict_labels(volume, several, there, Options(mirroring=False))
        _, taken = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return taken

    assert peak(6) < 0.3 * peak(200)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0, 2.0])
def test_slices_are_as_many_as_fit(share: float) -> None:
    slices = slices_that_fit((100, 30, 40), CLASSES, int(share * 4 * CLASSES * 100 * 30 * 40))
    assert slices == int(share * 100)
