"""The operator as one ONNX node, for torch's exporter."""

from collections.abc import Callable, Sequence
from typing import Any

from onnxscript.values import Opset

from common.export.onnx.deform_conv3d.reference import deform_conv3d
from common.export.onnx.deform_conv3d.schema import DOMAIN, VERSION


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
