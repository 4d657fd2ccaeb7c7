"""Conversion of a float32 network to float16, with every type written out as strongly typed engines need it.

Weights and features become float16. What would lose too much stays float32 between explicit Casts: softmax,
means over many voxels, and sampling positions. Normalisation layers take and give float16: TensorRT's compute
their statistics in float32, says its documentation. The network's input and output stay float32, too.
"""

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from common.errors import ModelError
from common.export.onnx.editing import add_weight, graph_of, prepared, remove_unused_weights, weight_of

FLOAT32_OPERATORS = frozenset(
    {"Softmax", "LogSoftmax", "ReduceMean", "ReduceSum", "ReduceL2", "ReduceSumSquare", "GlobalAveragePool"}
)
POSITION_OPERATORS = frozenset({"Add", "Clip", "Expand", "Reshape", "Sub"})
"""What leads from offsets, which a Gather takes from the feature map, to positions."""
FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16)
MAX_FLOAT16 = float(np.finfo(np.float16).max)


def to_float16(model: ir.Model) -> ir.Model:
    """Return the network in float16, with float32 input and output.

    Raises `ModelError` for a weight that float16 cannot hold, `ValueError` for a value of unknown type.
    """
    model = prepared(model)
    graph = model.graph
    in_float32 = _float32_nodes(graph)
    casts = _Casts()
    for node in tuple(graph):
        precision = ir.DataType.FLOAT if node in in_float32 else ir.DataType.FLOAT16
        for index, value in _features(node):
            node.replace_input_with(index, casts.to(precision, value, node))
        _set_type(node, precision)
    for index, output in enumerate(graph.outputs):
        if output.dtype == ir.DataType.FLOAT16:
            graph.outputs[index] = _float32_output(graph, output)
    remove_unused_weights(graph)
    return model


class _Casts:
    """Values in the other precision, each converted once."""

    def __init__(self) -> None:
        self._converted: dict[tuple[ir.Value, ir.DataType], ir.Value] = {}

    def to(self, precision: ir.DataType, value: ir.Value, user: ir.Node) -> ir.Value:
        if value.dtype == precision:
            return value
        key = value, precision
        if key not in self._converted:
            self._converted[key] = (
                _cast(value, precision, user) if value.const_value is None else _weight(value, user)
            )
        return self._converted[key]


def _cast(value: ir.Value, precision: ir.DataType, user: ir.Node) -> ir.Value:
    name = f"{value.name}_{precision.name.lower()}"
    node = ir.node("Cast", [value], {"to": precision}, name=f"cast_{name}")
    node.outputs[0].name, node.outputs[0].dtype, node.outputs[0].shape = name, precision, value.shape
    graph_of(user).insert_before(user, node)
    return node.outputs[0]


def _weight(value: ir.Value, user: ir.Node) -> ir.Value:
    """Return a float32 weight as a float16 one."""
    exact = weight_of(value)
    with np.errstate(over="ignore"):
        rounded = exact.astype(np.float16)
    if (np.isinf(rounded) & np.isfinite(exact)).any():
        raise ModelError(
            f"tensor {value.name}: found {np.abs(exact).max():g}, float16 holds at most {MAX_FLOAT16:g}; "
            "export this network without --tensorrt"
        )
    name = f"{value.name}_float16"
    return add_weight(graph_of(user), name, rounded)


def _features(node: ir.Node) -> Iterator[tuple[int, ir.Value]]:
    """The inputs of a node that have its precision, with their indices."""
    if node.op_type == "Cast":
        return
    for index, value in enumerate(node.inputs):
        if value is None or (node.op_type == "Resize" and index > 0):  # its region and scales are float32
            continue
        if value.dtype is None:
            raise ValueError(f"{node.op_type} {node.name}: the type of its input {value.name} is unknown")
        if value.dtype in FLOATS:
            yield index, value


def _set_type(node: ir.Node, precision: ir.DataType) -> None:
    for output in node.outputs:
        if output.dtype is None:
            raise ValueError(f"{node.op_type} {node.name}: the type of its output {output.name} is unknown")
        if output.dtype in FLOATS:
            output.dtype = precision
            if node.op_type == "Cast":
                node.attributes["to"] = ir.AttrInt64("to", precision)


def _float32_nodes(graph: ir.Graph) -> set[ir.Node]:
    """Softmaxes, means, and what computes sampling positions and the shares of neighbours."""
    found = {node for node in graph if node.op_type in FLOAT32_OPERATORS}
    for floor in (node for node in graph if node.op_type == "Floor"):
        found.add(floor)
        found |= _leading_to(floor)
        found |= _shares(floor)
    return found


def _leading_to(node: ir.Node) -> set[ir.Node]:
    """All arithmetic of positions before a node."""
    found: set[ir.Node] = set()
    waiting = [node]
    while waiting:
        for before in waiting.pop().predecessors():
            if before.op_type in POSITION_OPERATORS and before not in found:
                found.add(before)
                waiting.append(before)
    return found


def _shares(floor: ir.Node) -> set[ir.Node]:
    """The differences that weigh the upper neighbour, position - floor, and the lower one, 1 - that."""
    upper = [node for node in floor.successors() if node.op_type == "Sub"]
    return {*upper, *(node for one in upper for node in one.successors() if node.op_type == "Sub")}


def _float32_output(graph: ir.Graph, output: ir.Value) -> ir.Value:
    """Widen an output, which keeps its name."""
    name, output.name = output.name, f"{output.name}_float16"
    node = ir.node("Cast", [output], {"to": ir.DataType.FLOAT}, name=f"cast_{name}")
    node.outputs[0].name, node.outputs[0].dtype, node.outputs[0].shape = name, ir.DataType.FLOAT, output.shape
    graph.append(node)
    return node.outputs[0]
