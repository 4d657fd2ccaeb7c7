"""ONNX files of half the size: weights stored in float16, which engines widen when they load them.

What is computed stays float32. Only the weights are rounded, once.
"""

from pathlib import Path

import numpy as np
import onnx_ir as ir

from common.errors import MachineError, ModelError
from common.export.onnx.editing import weight_of

MIN_ELEMENTS = 256
"""Smaller tensors, such as scales and biases, stay float32: they weigh nothing."""
MAX_FLOAT16 = float(np.finfo(np.float16).max)


def store_float16_weights(path: Path, destination: Path) -> None:
    """Write the float32 ONNX file `path` with its weights in float16, each behind a Cast to float32.

    Raises `ModelError` for a weight that float16 cannot hold, `MachineError` if the file cannot be written.
    """
    model = ir.load(path)
    large = [value for value in model.graph.initializers.values() if _is_large(value)]
    for value in large:
        _narrow(model.graph, value, path.name)
    try:
        ir.save(model, destination)
    except OSError as error:
        raise MachineError(f"{destination}: cannot be written ({error.strerror}); free some space") from error


def _is_large(value: ir.Value) -> bool:
    tensor = value.const_value
    return tensor is not None and tensor.dtype == ir.DataType.FLOAT and tensor.size >= MIN_ELEMENTS


def _narrow(graph: ir.Graph, value: ir.Value, file: str) -> None:
    """Replace a weight by one of half the size and a Cast, whose output has the weight's name."""
    name, exact = str(value.name), weight_of(value)
    if not np.abs(exact).max() <= MAX_FLOAT16:
        raise ModelError(
            f"{file}: tensor {name} has values up to {np.abs(exact).max():g}, float16 holds at most "
            f"{MAX_FLOAT16:g}; leave --cpu-weights out"
        )
    stored = f"{name}_float16"
    narrow = ir.Value(
        name=stored,
        shape=value.shape,
        type=ir.TensorType(ir.DataType.FLOAT16),
        const_value=ir.tensor(exact.astype(np.float16), name=stored),
    )
    del graph.initializers[name]
    graph.initializers[stored] = narrow
    cast = ir.node("Cast", [narrow], {"to": ir.DataType.FLOAT}, name=f"widen_{name}")
    (wide,) = cast.outputs
    wide.shape, wide.dtype = value.shape, ir.DataType.FLOAT
    value.replace_all_uses_with(wide)
    wide.name = name
    graph.insert_before(graph[0], cast)
