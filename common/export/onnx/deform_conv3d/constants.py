"""Constants inside an ONNX graph."""

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import ArrayLike


def shape(op: Any, *sizes: int) -> ir.Value:
    """A shape, axes or slice bounds, as ONNX wants them: int64."""
    return op.Constant(value_ints=sizes)


def indices(op: Any, values: ArrayLike) -> ir.Value:
    """Addresses of samples, int32."""
    return op.Constant(value=ir.tensor(np.asarray(values, np.int32)))


def floats(op: Any, values: ArrayLike) -> ir.Value:
    """Numbers, float32."""
    return op.Constant(value=ir.tensor(np.asarray(values, np.float32)))
