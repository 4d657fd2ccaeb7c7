"""What passes over a network's graph share."""

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes.common import LiftConstantsToInitializersPass, ShapeInferencePass


def prepared(model: ir.Model) -> ir.Model:
    """Return a copy for a pass to change, with all types and shapes known, and constants as initializers.

    Weights that are only reshaped or transposed are constants. It shares its tensors with `model`.
    """
    model = model.clone()
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    _fold_moved_weights(model.graph)
    ShapeInferencePass(strict_mode=False)(model)
    return model


def graph_of(node: ir.Node) -> ir.Graph:
    """Return the graph that a node is in; `ValueError` if it is in none."""
    if not isinstance(node.graph, ir.Graph):
        raise ValueError(f"{node.op_type} {node.name} is in no graph")
    return node.graph


def weight_of(value: ir.Value) -> NDArray[Any]:
    """Return the numbers of an initializer; `ValueError` for any other value."""
    if value.const_value is None:
        raise ValueError(f"{value.name} is not constant")
    return value.const_value.numpy()


def add_weight(graph: ir.Graph, name: str, array: NDArray[Any]) -> ir.Value:
    """Add an initializer, or return the one of that name."""
    if name not in graph.initializers:
        tensor = ir.tensor(np.asarray(array, order="C"), name=name)
        value = ir.Value(
            name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor
        )
        graph.register_initializer(value)
    return graph.initializers[name]


def remove_unused_weights(graph: ir.Graph) -> None:
    """Remove the initializers that no node takes."""
    for name in [name for name, value in graph.initializers.items() if not value.uses()]:
        del graph.initializers[name]


def _fold_moved_weights(graph: ir.Graph) -> None:
    """Replace reshaped and transposed weights by weights of that shape."""
    for node in tuple(graph):
        if any(value is None or value.const_value is None for value in node.inputs):
            continue
        moved = _moved(node)
        if moved is not None:
            node.outputs[0].replace_all_uses_with(add_weight(graph, f"{node.outputs[0].name}_folded", moved))
            graph.remove(node, safe=True)
    remove_unused_weights(graph)


def _moved(node: ir.Node) -> NDArray[Any] | None:
    """Return the result of a Reshape without special sizes, or a Transpose, of a weight."""
    if node.op_type not in ("Reshape", "Transpose"):
        return None
    weight, *sizes = (weight_of(value) for value in node.inputs if value is not None)
    if node.op_type == "Transpose" and "perm" in node.attributes:
        return weight.transpose(node.attributes["perm"].as_ints())
    if node.op_type == "Reshape" and 0 not in sizes[0]:
        return weight.reshape(sizes[0])
    return None
