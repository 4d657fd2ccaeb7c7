from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from common.export.onnx.deform_conv3d.columns import columns
from common.export.onnx.deform_conv3d.geometry import geometry
from common.export.onnx.deform_conv3d.lowering import lower
from common.export.onnx.deform_conv3d.reference import im2col
from tests.support.deform_conv3d import by_torch, canonical_model, random_call


class DeformIm2col3d(OpRun):
    """The node as ONNX's reference evaluator calls it, computed by the operator's torch reference."""

    op_domain = "petct"

    def _run(self, volume: Any, offset: Any, **attributes: Any) -> tuple[Any]:
        g = geometry(
            volume.shape,
            offset.shape,
            (1, volume.shape[1], *attributes["kernel_shape"]),
            attributes["strides"],
            attributes["pads"][:3],
            attributes["dilations"],
            1,
            attributes["offset_group"],
        )
        return (im2col(torch.from_numpy(volume), torch.from_numpy(offset), g).numpy(),)


@pytest.mark.parametrize("seed", range(48))
def test_columns_and_a_product_agree_with_torch(seed: int) -> None:
    call = random_call(seed)
    lowered = lower(canonical_model(call, 18), columns)
    evaluator = ReferenceEvaluator(ir.to_proto(lowered), new_ops=[DeformIm2col3d])
    tiles = np.concatenate([call.input.ravel(), call.offset.ravel()])
    outputs: Any = evaluator.run(None, {"tiles": tiles})
    np.testing.assert_allclose(outputs[0], by_torch(call), rtol=0, atol=1e-4)


def test_the_columns_have_the_shape_that_is_written_with_them() -> None:
    call = random_call(5)
    (node,) = (node for node in lower(canonical_model(call, 18), columns).graph if node.domain)
    (samples,) = node.outputs
    channels, taps, voxels = call.input.shape[1], call.weight[0, 0].size, call.offset[0, 0].size
    assert samples.shape == ir.Shape((call.input.shape[0], channels * taps, voxels))
    assert samples.dtype == ir.DataType.FLOAT
