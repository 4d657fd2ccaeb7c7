"""Engines: one network, loaded and ready to compute tiles on one device.

Every backend (TensorRT, ONNX Runtime on CUDA, OpenVINO, ONNX Runtime on the CPU) is a module here that only
`ladder` imports; the rest of the package uses `contract.Engine`. This module defines the names for users.
"""

from typing import Literal, get_args

EngineName = Literal["auto", "tensorrt", "cuda", "openvino", "cpu"]
"""`auto`, or one backend; the backends are in the order in which `auto` tries them."""
Precision = Literal["float32", "bfloat16"]
"""What users choose among; TensorRT computes in float16 whatever they choose, as its engines were built."""

ENGINES: tuple[EngineName, ...] = get_args(EngineName)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
