"""The rounding of float16, simulated in float32 for CPU engines, which drop casts to float16 and back.

A float32 number is rounded to the eleven significant bits of float16 by Veltkamp's splitting: with
c = (2¹³+1)·x, c − (c − x) is x, rounded to nearest. Written as 2¹³·x + x, whose product is exact, the result
is the same where an engine fuses product and sum. Below float16's normal numbers, its subnormal ones are
multiples of 2⁻²⁴, and above the largest number stands infinity.

Source: Dekker 1971, "A floating-point technique for extending the available precision", section 5.
"""

import numpy as np
import onnx_ir as ir

from common.export.onnx.editing import add_weight, graph_of, remove_unused_weights, weight_of

MOVES = frozenset(
    {"Concat", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "Pad", "Relu", "Reshape", "Slice"}
    | {"Split", "Squeeze", "Transpose", "Unsqueeze"}
)
"""Operators whose results are among their inputs or zero, so are rounded already."""
SPLITTER = 2.0**13
SMALLEST_NORMAL = 2.0**-14
SUBNORMALS = 2.0**24
"""Subnormal numbers are multiples of its inverse."""
OVERFLOW = 65520.0
"""The smallest number that is rounded to infinity."""


def simulated(model16: ir.Model) -> ir.Model:
    """Return a float16 network as a float32 one that rounds each result that the first has in float16.

    The engine may round less often, where it fuses operators.
    """
    model = model16.clone()
    graph = model.graph
    for value in [value for value in graph.initializers.values() if value.dtype == ir.DataType.FLOAT16]:
        exact = add_weight(graph, f"{value.name}_widened", weight_of(value).astype(np.float32))
        value.replace_all_uses_with(exact)
    for node in tuple(graph):
        for output in node.outputs:
            if output.dtype == ir.DataType.FLOAT16:
                output.dtype = ir.DataType.FLOAT
                if node.op_type not in MOVES:
                    _round(node, output)
        if node.op_type == "Cast" and node.attributes["to"].as_int() == ir.DataType.FLOAT16:
            node.attributes["to"] = ir.AttrInt64("to", ir.DataType.FLOAT)
    remove_unused_weights(graph)
    return model


def _round(node: ir.Node, value: ir.Value) -> None:
    """Let all users of a value take it rounded."""
    uses = value.uses()
    operators = _Operators(node, value)
    rounded = _rounded(operators, value)
    for user, index in uses:
        user.replace_input_with(index, rounded)


class _Operators:
    """Appends float32 operators after a node."""

    def __init__(self, after: ir.Node, value: ir.Value) -> None:
        self._after, self._value, self._count = after, value, 0

    def __call__(
        self, operator: str, *inputs: ir.Value | float, dtype: ir.DataType = ir.DataType.FLOAT
    ) -> ir.Value:
        graph = graph_of(self._after)
        values = [
            add_weight(graph, f"rounding_{number}", np.asarray(number, np.float32))
            if isinstance(number, float)
            else number
            for number in inputs
        ]
        self._count += 1
        name = f"{self._value.name}_rounding_{self._count}"
        node = ir.node(operator, values, name=name)
        node.outputs[0].name, node.outputs[0].dtype = name, dtype
        node.outputs[0].shape = self._value.shape
        graph.insert_after(self._after, node)
        self._after = node
        return node.outputs[0]


def _rounded(op: _Operators, x: ir.Value) -> ir.Value:
    """Return float32 numbers rounded to float16, ties to even."""
    boolean = ir.DataType.BOOL
    product = op("Add", op("Mul", x, SPLITTER), x)
    normal = op("Sub", product, op("Sub", product, x))
    subnormal = op("Mul", op("Round", op("Mul", x, SUBNORMALS)), 1 / SUBNORMALS)
    size = op("Abs", x)
    rounded = op("Where", op("Less", size, SMALLEST_NORMAL, dtype=boolean), subnormal, normal)
    fits = op("Less", size, OVERFLOW, dtype=boolean)
    return op("Where", fits, rounded, op("Mul", x, float("inf")))
