"""A network as TensorRT should get it: arranged for its convolutions, and strongly typed in float16."""

from typing import Literal

import onnx_ir as ir

from common.export.onnx.channels import in_whole_widths
from common.export.onnx.half import to_float16

Deform = Literal["gather", "plugin"]
"""What computes deformable convolutions: standard operators, or this project's kernel."""


def for_tensorrt(model: ir.Model, deform: Deform = "gather") -> ir.Model:
    """Return an exported float32 network for TensorRT's parser, in float16 with float32 input and output.

    `model` stays as it is. The same network gives the same bytes. Raises `ModelError` for a weight that
    float16 cannot hold.
    """
    if deform == "plugin":
        raise NotImplementedError("the kernel's nodes")
    return to_float16(in_whole_widths(model))
