"""Engines: one ONNX file, ready to run tiles on one device.

Each carrier of networks has a module here; `ladder` alone knows them, and the rest of the package knows
`contract.Engine`. This module holds the names that a user may say.
"""

from typing import Literal, get_args

EngineName = Literal["auto", "cuda", "openvino", "cpu"]
"""`auto`, or one carrier; the carriers in the order in which `auto` tries them."""
Precision = Literal["float32", "bfloat16"]

ENGINES: tuple[EngineName, ...] = get_args(EngineName)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
