"""The operator as one ONNX node, `petct::DeformConv3d`, with the attributes of ONNX's `DeformConv`."""

from collections.abc import Callable, Sequence
from typing import Any

import onnx
from onnx.defs import OpSchema
from onnxscript.values import Opset

from common.export.onnx.deform_conv3d.reference import deform_conv3d

DOMAIN = "petct"
VERSION = 1
SCHEMA = OpSchema(
    "DeformConv3d",
    DOMAIN,
    VERSION,
    doc="Convolve X (N, C, D, H, W) with W (O, C/group, kd, kh, kw). X is sampled at "
    "output * strides - pads + tap * dilations + offset, with trilinear interpolation and zeros outside. "
    "offset is (N, 3 * offset_group * kd * kh * kw, D', H', W') in voxels: offset group, "
    "tap (kd, kh, kw), then axis (d, h, w).",
    inputs=[OpSchema.FormalParameter(name, "T") for name in ("X", "W", "offset", "B")],
    outputs=[OpSchema.FormalParameter("Y", "T")],
    type_constraints=[("T", ["tensor(float16)", "tensor(float)", "tensor(double)"], "")],
    attributes=[
        *(OpSchema.Attribute(name, OpSchema.AttrType.INTS) for name in ("strides", "pads", "dilations")),
        *(OpSchema.Attribute(name, OpSchema.AttrType.INT) for name in ("group", "offset_group")),
    ],
)
onnx.defs.register_schema(SCHEMA)


def _translate(
    input: Any,  # noqa: A002
    offset: Any,
    weight: Any,
    bias: Any,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    deformable_groups: int,
) -> Any:
    return Opset(DOMAIN, VERSION).DeformConv3d(
        input,
        weight,
        offset,
        bias,
        strides=stride,
        pads=[*padding, *padding],
        dilations=dilation,
        group=groups,
        offset_group=deformable_groups,
    )


TRANSLATIONS: dict[Callable[..., Any], Callable[..., Any]] = {deform_conv3d._opoverload: _translate}
"""For `torch.onnx.export(custom_translation_table=...)`."""
