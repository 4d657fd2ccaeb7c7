from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import openvino
import pytest

from common.export.onnx.deform_conv3d.gather import gather
from common.export.onnx.deform_conv3d.grid_sample import OPSET, grid_sample
from common.export.onnx.deform_conv3d.lowering import Lowering, lower
from tests.support.deform_conv3d import Array, by_torch, canonical_model, random_call

Run = Callable[[Path, Array], Array]


def by_onnxruntime(path: Path, tiles: Array) -> Array:
    output: Array = onnxruntime.InferenceSession(path).run(None, {"tiles": tiles})[0]
    return output


def by_openvino(path: Path, tiles: Array) -> Array:
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.asarray(compiled(tiles)[0])


@pytest.mark.parametrize("seed", range(48))
@pytest.mark.parametrize(
    ("lowering", "opset", "run"),
    [
        (gather, 18, by_onnxruntime),
        (gather, 18, by_openvino),
        (grid_sample, OPSET, by_onnxruntime),  # OpenVINO has no GridSample of a volume
    ],
)
def test_lowered_node_agrees_with_torch(
    lowering: Lowering, opset: int, run: Run, seed: int, tmp_path: Path
) -> None:
    call = random_call(seed)
    path = tmp_path / "lowered.onnx"
    ir.save(lower(canonical_model(call, opset), lowering), path)
    tiles = np.concatenate([call.input.ravel(), call.offset.ravel()])
    np.testing.assert_allclose(run(path, tiles), by_torch(call), rtol=0, atol=1e-4)


def test_lowered_file_names_standard_operators_only() -> None:
    lowered = lower(canonical_model(random_call(0), 18), gather)
    assert set(lowered.opset_imports) == {""}
    assert {node.domain for node in lowered.graph} == {""}


def test_refuses_a_node_of_unknown_shape() -> None:
    model = canonical_model(random_call(0), 18)
    node = next(node for node in model.graph if node.op_type == "DeformConv3d")
    offset = node.inputs[2]
    assert offset is not None
    offset.shape = None
    with pytest.raises(ValueError, match="static shapes"):
        lower(model, gather)
