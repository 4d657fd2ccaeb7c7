"""Replacement of `petct::DeformConv3d` nodes by standard ONNX operators."""

import json
from collections.abc import Callable
from typing import Any

import onnx_ir as ir
from onnxscript.rewriter import pattern, rewrite

from common.export.onnx.deform_conv3d.geometry import ConvGeometry, geometry
from common.export.onnx.deform_conv3d.schema import DOMAIN

MARK = "petct.DeformConv3d"
"""Metadata of the node that ends a lowered group: the lowered node's inputs and attributes as JSON."""

Lowering = Callable[[Any, ir.Value, ir.Value, ir.Value, ir.Value, ConvGeometry], ir.Value]
"""Rewrites one node: takes operator builder, input, weight, offset, bias, geometry; returns the output."""


def lower(model: ir.Model, lowering: Lowering) -> ir.Model:
    """Replace every `petct::DeformConv3d` node by the operators that `lowering` writes.

    The last of them carries the `MARK` by which `raise_operators` finds the node again. Raises `ValueError`
    for a node whose shapes are not static.
    """
    geometries = {node.outputs[0].name: _node_geometry(node) for node in model.graph if node.domain == DOMAIN}
    if not geometries:
        return model

    def match(op: Any, volume: Any, weight: Any, offset: Any, bias: Any) -> Any:
        return op.DeformConv3d(
            volume, weight, offset, bias, _domain=DOMAIN, _allow_other_attributes=True, _outputs=["output"]
        )

    def replace(
        op: Any, volume: ir.Value, weight: ir.Value, offset: ir.Value, bias: ir.Value, output: ir.Value
    ) -> ir.Value:
        lowered = lowering(op, volume, weight, offset, bias, geometries[output.name])
        _producer(lowered).metadata_props[MARK] = _mark(_producer(output))
        return lowered

    return rewrite(model, pattern_rewrite_rules=[pattern.RewriteRule(match, replace)])


def _producer(value: ir.Value) -> ir.Node:
    node = value.producer()
    if node is None:
        raise ValueError(f"{value}: no node gives it")
    return node


def _mark(node: ir.Node) -> str:
    inputs = [value.name for value in node.inputs if value is not None]
    attributes = {name: attribute.value for name, attribute in node.attributes.items()}
    return json.dumps({"inputs": inputs, "attributes": attributes}, sort_keys=True)


def _node_geometry(node: ir.Node) -> ConvGeometry:
    volume, weight, offset, _ = (_static_shape(value) for value in node.inputs)
    attributes = node.attributes
    return geometry(
        volume,
        offset,
        weight,
        attributes["strides"].as_ints(),
        attributes["pads"].as_ints()[:3],
        attributes["dilations"].as_ints(),
        attributes["group"].as_int(),
        attributes["offset_group"].as_int(),
    )


def _static_shape(value: ir.Value | None) -> tuple[int, ...]:
    if value is None or value.shape is None or not value.shape.is_static():
        raise ValueError(f"{value}: only a deformable convolution of static shapes can be lowered")
    return value.shape.numpy()
