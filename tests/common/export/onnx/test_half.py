from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from common.errors import ModelError
from common.export.onnx.editing import weight_of
from common.export.onnx.half import to_float16

WIDE = {"Softmax", "ReduceMean", "Floor", "Clip"}


def test_every_type_is_consistent(exported_network: Path, tmp_path: Path) -> None:
    ir.save(to_float16(ir.load(exported_network)), tmp_path / "half.onnx")
    onnx.checker.check_model(tmp_path / "half.onnx", full_check=True)


def test_input_and_output_keep_their_names_and_float32(exported_network: Path) -> None:
    graph = to_float16(ir.load(exported_network)).graph
    found = [(value.name, value.dtype) for value in (*graph.inputs, *graph.outputs)]
    assert found == [("tiles", ir.DataType.FLOAT), ("logits", ir.DataType.FLOAT)]


def test_convolutions_are_float16_softmaxes_means_and_positions_float32(exported_network: Path) -> None:
    graph = to_float16(ir.load(exported_network)).graph
    convolutions = {node.outputs[0].dtype for node in graph if node.op_type in ("Conv", "MatMul")}
    assert convolutions == {ir.DataType.FLOAT16}
    assert {node.outputs[0].dtype for node in graph if node.op_type in WIDE} <= {ir.DataType.FLOAT}


def test_the_file_is_half_as_large(exported_network: Path, tmp_path: Path) -> None:
    ir.save(to_float16(ir.load(exported_network)), tmp_path / "half.onnx")
    sizes = [
        sum(weight_of(value).nbytes for value in ir.load(path).graph.initializers.values())
        for path in (exported_network, tmp_path / "half.onnx")
    ]
    assert 0.45 * sizes[0] < sizes[1] < 0.75 * sizes[0]


def test_a_weight_that_float16_cannot_hold_is_refused_by_name(exported_network: Path) -> None:
    model = ir.load(exported_network)
    name, value = max(model.graph.initializers.items(), key=lambda item: weight_of(item[1]).size)
    value.const_value = ir.tensor(weight_of(value) + np.float32(7e4), name=name)
    with pytest.raises(
        ModelError, match=rf"tensor {name}: found 7\d+.*, float16 holds at most 65504"
    ) as error:
        to_float16(model)
    assert "\n" not in str(error.value)
