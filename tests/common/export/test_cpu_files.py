import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from common.errors import ModelError
from common.export import cpu_files
from common.export.cpu_files import store_cpu_weights_in_float16
from common.export.onnx.float16_weights import MIN_ELEMENTS, store_float16_weights
from common.hashes import sha256_of
from common.inference.engines.ladder import make_cpu_engine
from common.model.reading import read_model

AUTOPET = "autopet_interactive"


def rounded_in_place(path: Path, destination: Path) -> Path:
    """The same float32 file with its large weights rounded to float16's numbers."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32 and array.size >= MIN_ELEMENTS:
            rounded = array.astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
    onnx.save(model, destination)
    return destination


def test_the_logits_are_those_of_the_rounded_weights(golden_model: Path, tmp_path: Path) -> None:
    path = golden_model / "segmentation_fold_0.onnx"
    store_float16_weights(path, tmp_path / "narrow.onnx")
    expected = make_cpu_engine(rounded_in_place(path, tmp_path / "rounded.onnx"))
    tiles = np.random.default_rng(0).standard_normal(expected.tile_shape, np.float32)
    found = make_cpu_engine(tmp_path / "narrow.onnx").run(tiles)
    np.testing.assert_allclose(found, expected.run(tiles), atol=1e-5)


def test_a_folder_with_float16_weights_is_smaller_and_has_its_parity(
    golden_model: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(golden_model, tmp_path / "model")
    store_cpu_weights_in_float16(folder, AUTOPET)
    assert sorted(path.name for path in folder.iterdir()) == [
        "model.json",
        "segmentation_fold_0.float16.onnx",
        "segmentation_fold_1.float16.onnx",
    ]
    for fold in read_model(folder, AUTOPET).networks[0].folds:
        assert fold.path is not None
        before = (golden_model / f"segmentation_fold_{fold.name}.onnx").stat().st_size
        assert fold.path.stat().st_size < 0.6 * before
        assert fold.sha256 == sha256_of(fold.path)
        assert fold.parity.relative_rms_difference is not None
        assert 1e-6 < fold.parity.relative_rms_difference < 1e-2


def test_the_memory_for_a_tile_is_measured_with_the_new_file(
    golden_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(golden_model, tmp_path / "model")
    measured: list[tuple[str, tuple[int, ...]]] = []

    def measure(path: Path, tile_shape: tuple[int, ...]) -> int:
        measured.append((path.name, tile_shape))
        return 4711

    monkeypatch.setattr(cpu_files, "tile_memory", measure)
    store_cpu_weights_in_float16(folder, AUTOPET)
    (network,) = read_model(folder, AUTOPET).networks
    assert network.tile_memory == 4711
    assert measured == [("segmentation_fold_0.float16.onnx", (len(network.channels), *network.patch))]


def test_an_interruption_leaves_the_earlier_weights(
    golden_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(golden_model, tmp_path / "model")
    before = read_model(folder, AUTOPET)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cpu_files, "replace_networks", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store_cpu_weights_in_float16(folder, AUTOPET)
    assert read_model(folder, AUTOPET) == before


def test_a_weight_that_float16_cannot_hold_is_refused(golden_model: Path, tmp_path: Path) -> None:
    model = onnx.load(golden_model / "segmentation_fold_0.onnx")
    tensor = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    array = numpy_helper.to_array(tensor).copy()
    array.flat[0] = 1e5
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    onnx.save(model, tmp_path / "large.onnx")
    with pytest.raises(ModelError, match=r"large.onnx: tensor .* up to 100000, float16 holds at most 65504"):
        store_float16_weights(tmp_path / "large.onnx", tmp_path / "narrow.onnx")
