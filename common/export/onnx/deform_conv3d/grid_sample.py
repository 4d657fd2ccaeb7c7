"""Lowering to one 5-D GridSample, with the taps stacked along depth, and a matrix product."""

from typing import Any

import onnx_ir as ir

from common.export.onnx.deform_conv3d.constants import floats, indices, shape
from common.export.onnx.deform_conv3d.geometry import ConvGeometry
from common.export.onnx.deform_conv3d.product import product

OPSET = 20
"""The first opset whose GridSample supports 5-D input."""


def grid_sample(
    op: Any, volume: ir.Value, weight: ir.Value, offset: ir.Value, bias: ir.Value, g: ConvGeometry
) -> ir.Value:
    """Replace one node by GridSample and MatMul, for a model of opset 20."""
    blocks = g.batch * g.deformable_groups
    samples = op.GridSample(
        op.Reshape(volume, shape(op, blocks, -1, *g.size)),
        _grid(op, offset, g),
        align_corners=0,
        mode="linear",
        padding_mode="zeros",
    )
    return product(op, samples, weight, bias, g)


def _grid(op: Any, offset: ir.Value, g: ConvGeometry) -> ir.Value:
    """Return the sampling positions in GridSample's coordinates, x first: (N·G, taps·D', H', W', 3).

    With `align_corners=0`, these are (2 · position + 1) / size − 1. With `align_corners=1` they would be
    divided by size − 1, which is zero for an axis of one voxel.
    """
    blocks = g.batch * g.deformable_groups
    by_axis = op.Reshape(offset, shape(op, blocks, g.taps, 3, *g.out_size))
    axes = []
    for axis in (2, 1, 0):
        along = [g.taps, 1, 1, 1]
        along[axis + 1] = -1
        start = (2 * g.lattice(axis) + 1) / g.size[axis] - 1
        step = op.Mul(op.Gather(by_axis, indices(op, axis), axis=2), floats(op, 2 / g.size[axis]))
        axes.append(op.Unsqueeze(op.Add(step, floats(op, start.reshape(along))), shape(op, -1)))
    depth, height, width = g.out_size
    return op.Reshape(op.Concat(*axes, axis=-1), shape(op, blocks, g.taps * depth, height, width, 3))
