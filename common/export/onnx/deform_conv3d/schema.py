"""The ONNX schemas of the operator, `petct::DeformConv3d`, and of its first half, `petct::DeformIm2col3d`."""

import onnx
from onnx.defs import OpSchema

DOMAIN = "petct"
VERSION = 1

_TYPES = [("T", ["tensor(float16)", "tensor(float)", "tensor(double)"], "")]


def _attributes(kind: OpSchema.AttrType, *names: str) -> list[OpSchema.Attribute]:
    return [OpSchema.Attribute(name, kind) for name in names]


DEFORM_CONV = OpSchema(
    "DeformConv3d",
    DOMAIN,
    VERSION,
    doc="Convolve X (N, C, D, H, W) with W (O, C/group, kd, kh, kw). X is sampled at "
    "output * strides - pads + tap * dilations + offset, with trilinear interpolation and zeros outside. "
    "offset is (N, 3 * offset_group * kd * kh * kw, D', H', W') in voxels: offset group, "
    "tap (kd, kh, kw), then axis (d, h, w).",
    inputs=[OpSchema.FormalParameter(name, "T") for name in ("X", "W", "offset", "B")],
    outputs=[OpSchema.FormalParameter("Y", "T")],
    type_constraints=_TYPES,
    attributes=[
        *_attributes(OpSchema.AttrType.INTS, "strides", "pads", "dilations"),
        *_attributes(OpSchema.AttrType.INT, "group", "offset_group"),
    ],
)
"""With the attributes of ONNX's `DeformConv`."""

DEFORM_IM2COL = OpSchema(
    "DeformIm2col3d",
    DOMAIN,
    VERSION,
    doc="Gather the samples of DeformConv3d as columns (N, C * kd * kh * kw, D' * H' * W').",
    inputs=[OpSchema.FormalParameter(name, "T") for name in ("X", "offset")],
    outputs=[OpSchema.FormalParameter("columns", "T")],
    type_constraints=_TYPES,
    attributes=[
        *_attributes(OpSchema.AttrType.INTS, "kernel_shape", "strides", "pads", "dilations"),
        *_attributes(OpSchema.AttrType.INT, "offset_group"),
    ],
)

for _schema in (DEFORM_CONV, DEFORM_IM2COL):
    onnx.defs.register_schema(_schema)
