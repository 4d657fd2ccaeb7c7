"""Lowering to `petct::DeformIm2col3d`, which a kernel of this project computes, and a matrix product.

Unlike `gather`, it leaves the node with the kernel in the file: for TensorRT, after `raise_operators`.
"""

import math
from typing import Any

import onnx_ir as ir

from common.export.onnx.deform_conv3d.geometry import ConvGeometry
from common.export.onnx.deform_conv3d.product import product
from common.export.onnx.deform_conv3d.schema import DOMAIN


def columns(
    op: Any, volume: ir.Value, weight: ir.Value, offset: ir.Value, bias: ir.Value, g: ConvGeometry
) -> ir.Value:
    """Replace one node by `DeformIm2col3d`, of columns (N, C·taps, P), and one matrix product per group."""
    samples = op.DeformIm2col3d(
        volume,
        offset,
        kernel_shape=g.kernel,
        strides=g.stride,
        pads=[*g.padding, *g.padding],
        dilations=g.dilation,
        offset_group=g.deformable_groups,
        _domain=DOMAIN,
    )
    samples.dtype = volume.dtype
    samples.shape = ir.Shape([g.batch, g.channels * g.taps, math.prod(g.out_size)])
    return product(op, samples, weight, bias, g)
