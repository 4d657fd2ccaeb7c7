"""Engines on the GPU against the CPU's, on the demos' networks."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common.export.onnx.compare import compare
from common.inference.engines.ladder import Ladder
from common.inference.network import Network
from common.model.model import Model
from tests.gpu.conftest import export_demo

MAX_RMS = 5e-3
"""Of the standard deviation of the logits: ten times what float16 is expected to cost."""
MAX_FLIPPED = 1e-4
"""Of the voxels, among those that float32 is sure of."""


def test_every_engine_loads_and_gives_the_logits_of_the_cpu_but_for_float16(model: Model) -> None:
    for network in model.networks:
        for fold in network.folds:
            on_gpu = Ladder("tensorrt").load(network.files(fold))
            on_cpu = Ladder("openvino").load(network.files(fold))
            tile = random_tile(network)
            found, expected = on_gpu.run(tile), on_cpu.run(tile)
            assert on_gpu.info.name == "tensorrt"
            parity = compare(expected, found)
            assert parity.relative_rms_difference is not None
            assert parity.relative_rms_difference <= MAX_RMS
            assert parity.changed_voxels is not None
            assert parity.changed_voxels <= MAX_FLIPPED


def test_a_stream_of_tiles_gives_what_each_gives_alone(model: Model) -> None:
    network = model.networks[-1]
    engine = Ladder("tensorrt").load(network.files(network.folds[0]))
    tiles = [random_tile(network, seed) for seed in range(5)]
    alone = [engine.run(tile) for tile in tiles]
    for found, expected in zip(engine.stream(iter(tiles)), alone, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_mirrorings_in_one_batch_give_what_each_gives_alone(tmp_path: Path) -> None:
    model = export_demo("autopet_interactive", tmp_path, "--batch-mirrorings")
    network = model.networks[0]
    (batch,) = {max(engine.batches) for engine in network.folds[0].engines}
    assert batch > 1
    engine = Ladder("tensorrt").load(network.files(network.folds[0]))
    tiles = [random_tile(network, seed) for seed in range(batch + 1)]
    found = np.concatenate([*engine.stream(tile[0] for tile in tiles)])
    alone = np.concatenate([engine.run(tile)[0] for tile in tiles])
    assert compare(alone[None], found[None]).changed_voxels == 0


def test_the_kernel_gives_what_standard_operators_give(tmp_path: Path) -> None:
    logits = [
        engine_of(export_demo("gepnet", tmp_path / deform, "--deform", deform))
        for deform in ("gather", "plugin")
    ]
    parity = compare(*logits)
    assert parity.relative_rms_difference is not None
    assert parity.relative_rms_difference <= MAX_RMS


def engine_of(model: Model) -> NDArray[np.float32]:
    network = model.networks[0]
    return Ladder("tensorrt").load(network.files(network.folds[0])).run(random_tile(network))


def random_tile(network: Network, seed: int = 0) -> NDArray[np.float32]:
    shape = (1, len(network.channels), *network.patch)
    return np.random.default_rng(seed).standard_normal(shape, np.float32)
