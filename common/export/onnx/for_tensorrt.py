"""A network as TensorRT should get it: arranged for its convolutions, and strongly typed in float16."""

from typing import Literal

import onnx_ir as ir

from common.export.onnx.channels import in_whole_widths
from common.export.onnx.deform_conv3d.columns import columns
from common.export.onnx.deform_conv3d.lowering import lower
from common.export.onnx.deform_conv3d.raising import raise_operators
from common.export.onnx.half import to_float16

Deform = Literal["gather", "plugin"]
"""What computes deformable convolutions: standard operators, or this project's kernel."""


def for_tensorrt(model: ir.Model, deform: Deform = "gather") -> ir.Model:
    """Return an exported float32 network for TensorRT's parser, in float16 with float32 input and output.

    `model` stays as it is. The same network gives the same bytes. Raises `ModelError` for a weight that
    float16 cannot hold, and for a network without a deformable convolution where `deform` is "plugin".
    """
    if deform == "plugin":
        model = lower(raise_operators(model.clone()), columns)
    return to_float16(in_whole_widths(model))
