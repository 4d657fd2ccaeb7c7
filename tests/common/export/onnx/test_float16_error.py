from pathlib import Path

import onnx_ir as ir
import pytest

from common.errors import ModelError
from common.export.onnx.editing import weight_of
from common.export.onnx.float16_error import measure_float16, measured_tile
from common.export.onnx.resize import write_resized
from common.export.onnx.write import write_onnx
from containers.gepnet.export.network import GEPNet
from tests.support.networks import write_network


def test_the_error_is_that_of_eleven_bits(exported_network: Path) -> None:
    error = measure_float16(exported_network)
    assert error.relative_rms_difference is not None
    assert 1e-5 < error.relative_rms_difference < 1e-2


def test_features_that_float16_cannot_hold_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    write_network("grouped", path)
    model = ir.load(path)
    for value in model.graph.initializers.values():
        if len(weight_of(value).shape) == 5:
            value.const_value = ir.tensor(weight_of(value) * 1000, name=value.name)
    ir.save(model, path)
    with pytest.raises(ModelError, match=r"network.onnx: found features beyond float16's largest number"):
        measure_float16(path)


def test_a_network_of_any_size_is_measured_on_a_smaller_tile(tmp_path: Path) -> None:
    write_network("residual", tmp_path / "small.onnx")
    write_resized(tmp_path / "small.onnx", (4, 128, 32, 96), tmp_path / "network.onnx")
    assert measured_tile(tmp_path / "network.onnx") == (4, 64, 32, 64)


def test_a_network_of_one_size_is_measured_on_that(tmp_path: Path) -> None:
    write_onnx(GEPNet((96, 32, 32)).eval(), tmp_path / "network.onnx", (1, 96, 32, 32))
    assert measured_tile(tmp_path / "network.onnx") == (1, 96, 32, 32)
