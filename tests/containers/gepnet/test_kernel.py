from pathlib import Path

import onnx_ir as ir
import pytest

from common.export.onnx.channels import in_whole_widths
from common.export.onnx.deform_conv3d.columns import columns
from common.export.onnx.deform_conv3d.lowering import lower
from common.export.onnx.deform_conv3d.raising import raise_operators
from common.export.onnx.half import to_float16
from tests.support.plugin_process import build_with_plugin

pytest.importorskip("tensorrt_rtx_bindings", reason="TensorRT-RTX is not installed")


def test_the_whole_network_is_built_with_the_kernel_for_every_gpu(pet_model: Path, tmp_path: Path) -> None:
    raised = raise_operators(ir.load(pet_model / "segmentation_fold_0.onnx"))
    deformable = sum(node.op_type == "DeformConv3d" for node in raised.graph)
    assert deformable == 6
    ir.save(to_float16(in_whole_widths(lower(raised, columns))), tmp_path / "kernel.onnx")
    built = build_with_plugin(tmp_path / "kernel.onnx", tmp_path, "7.5", "8.0+")
    assert built["plugins"] == deformable
    assert len(built["sizes"]) == 2
    assert min(built["sizes"]) > 10_000_000
