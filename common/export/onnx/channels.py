"""Convolutions with the numbers of channels that TensorRT computes without padding them itself.

Its float16 convolutions take eight channels at once. Where a group has fewer, or the input is no multiple of
eight, it adds maps of zeros that have the feature map's size, and stores them in the engine.
"""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from common.export.onnx.editing import add_weight, graph_of, prepared, remove_unused_weights, weight_of

WIDTH = 8
"""Channels that a convolution takes at once."""

Weight = NDArray[np.float32]
"""(O, C/groups, kernel)."""


def in_whole_widths(model: ir.Model) -> ir.Model:
    """Return the same network without convolutions of groups of fewer than eight channels or of a remainder.

    Groups become one dense convolution with zeros in its weight; other inputs are padded with zero channels.
    Convolutions whose weight is not constant stay as they are.
    """
    model = prepared(model)
    padded = _PaddedInputs()
    for node in [node for node in model.graph if node.op_type == "Conv"]:
        weight = node.inputs[1]
        if weight is not None and weight.const_value is not None:
            _arrange(node, weight_of(weight), padded)
    remove_unused_weights(model.graph)
    return model


def _arrange(node: ir.Node, weight: Weight, padded: "_PaddedInputs") -> None:
    groups = node.attributes["group"].as_int() if "group" in node.attributes else 1
    if groups > 1 and weight.shape[1] >= WIDTH:
        return
    arranged = dense(weight, groups)
    node.attributes["group"] = ir.AttrInt64("group", 1)
    missing = -arranged.shape[1] % WIDTH
    if missing:
        arranged = np.pad(arranged, [(0, 0), (0, missing), *[(0, 0)] * (arranged.ndim - 2)])
        node.replace_input_with(0, padded.to(missing, node, arranged.ndim))
    if arranged is not weight:
        name = f"{node.outputs[0].name}_weight"
        node.replace_input_with(1, add_weight(graph_of(node), name, arranged))


def dense(weight: Weight, groups: int) -> Weight:
    """Return the weight (O, C, kernel) of a convolution of one group that computes the same."""
    if groups == 1:
        return weight
    outputs, inputs = weight.shape[0] // groups, weight.shape[1]
    found = np.zeros((weight.shape[0], inputs * groups, *weight.shape[2:]), weight.dtype)
    for group in range(groups):
        rows = slice(group * outputs, (group + 1) * outputs)
        found[rows, group * inputs : (group + 1) * inputs] = weight[rows]
    return found


class _PaddedInputs:
    """Feature maps with zero channels at the end, one for all convolutions that take the same map."""

    def __init__(self) -> None:
        self._padded: dict[ir.Value, ir.Value] = {}

    def to(self, missing: int, convolution: ir.Node, rank: int) -> ir.Value:
        value = convolution.inputs[0]
        if value is None:
            raise ValueError(f"Conv {convolution.name} has no input")
        if value not in self._padded:
            graph, name = graph_of(convolution), f"{value.name}_padded"
            pads = np.zeros((2, rank), np.int64)
            pads[1, 1] = missing
            node = ir.node("Pad", [value, add_weight(graph, f"{name}_pads", pads.ravel())], name=name)
            node.outputs[0].name, node.outputs[0].dtype = name, value.dtype or ir.DataType.FLOAT
            graph.insert_before(convolution, node)
            self._padded[value] = node.outputs[0]
        return self._padded[value]
