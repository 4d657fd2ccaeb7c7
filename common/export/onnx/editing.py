"""What passes over a network's graph share."""

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes.common import LiftConstantsToInitializersPass, ShapeInferencePass


def prepared(model: ir.Model) -> ir.Model:
    """Return a copy for a pass to change: constants are initializers, all types and shapes are known.

    It shares its tensors with `model`.
    """
    model = model.clone()
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
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
        tensor = ir.tensor(np.ascontiguousarray(array), name=name)
        value = ir.Value(name=name, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor)
        graph.register_initializer(value)
    return graph.initializers[name]


def remove_unused_weights(graph: ir.Graph) -> None:
    """Remove the initializers that no node takes."""
    for name in [name for name, value in graph.initializers.items() if not value.uses()]:
        del graph.initializers[name]
