"""Constants inside an ONNX graph."""

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import ArrayLike


def shape(op: Any, *sizes: int) -> ir.Value:
    """Add a shape, axes or slice bounds, which ONNX requires as int64."""
    return op.Constant(value_ints=sizes)


def indices(op: Any, values: ArrayLike) -> ir.Value:
    """Add int32 indices of samples."""
    return op.Constant(value=ir.tensor(np.asarray(values, np.int32)))


def floats(op: Any, values: ArrayLike) -> ir.Value:
    """Add float32 numbers."""
    return op.Constant(value=ir.tensor(np.asarray(values, np.float32)))
