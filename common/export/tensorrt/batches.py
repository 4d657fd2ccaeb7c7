"""Networks that take more than one tile at a time."""

from collections.abc import Iterator

import onnx_ir as ir

from common.errors import ModelError

BATCH = "N"
"""Name of the symbolic first axis."""
SHAPES = {"Reshape": 1, "Resize": 3}
"""Operators with the shape of their output as an input, and its position."""


def with_batches(model: ir.Model, name: str) -> ir.Model:
    """A copy of a network that was written for one tile, with a symbolic first axis.

    Raises `ModelError` where a shape in the network is fixed for one tile, as of networks with attention,
    naming the layer; `name` is the file's.
    """
    for node in _after_input(model.graph):
        if _fixes_batch(node):
            raise ModelError(
                f"{name}: layer {node.name} ({node.op_type}) has a fixed shape, so the network takes one "
                "tile at a time; leave --batch-mirrorings out"
            )
    batched = model.clone()
    for value in (*batched.graph.inputs, *batched.graph.outputs):
        if value.shape is not None:
            value.shape = ir.Shape([BATCH, *value.shape[1:]])
    for node in batched.graph:
        for value in node.outputs:
            if not value.is_graph_output():
                value.shape = None
    return batched


def _after_input(graph: ir.Graph) -> Iterator[ir.Node]:
    """Nodes that depend on the tile, in the graph's order."""
    dependent = set(graph.inputs)
    for node in graph:
        if not dependent.isdisjoint(node.inputs):
            dependent.update(node.outputs)
            yield node


def _fixes_batch(node: ir.Node) -> bool:
    position = SHAPES.get(node.op_type)
    if position is None or len(node.inputs) <= position or (shape := node.inputs[position]) is None:
        return False
    constant = ir.convenience.get_const_tensor(shape)
    if constant is None:
        return False
    return bool(constant.numpy()[0] > 0)  # 0 keeps the axis, -1 takes what is left
