"""The second half of a deformable convolution: samples times weights."""

import math
from typing import Any

import onnx_ir as ir

from common.export.onnx.deform_conv3d.constants import shape
from common.export.onnx.deform_conv3d.geometry import ConvGeometry


def product(op: Any, columns: ir.Value, weight: ir.Value, bias: ir.Value, g: ConvGeometry) -> ir.Value:
    """Multiply columns (N, C·taps, P) by the weight, one matrix product per group; (N, O, D', H', W')."""
    rows = g.channels // g.groups * g.taps
    by_group = op.Reshape(columns, shape(op, -1, g.groups, rows, math.prod(g.out_size)))
    matrix = op.Reshape(weight, shape(op, g.groups, g.out_channels // g.groups, rows))
    output = op.Reshape(op.MatMul(matrix, by_group), shape(op, -1, *g.out_shape[1:]))
    return op.Add(output, op.Reshape(bias, shape(op, -1, 1, 1, 1)))
