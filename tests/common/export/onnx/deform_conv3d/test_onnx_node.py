import onnx
import torch

from common.export.onnx.deform_conv3d.onnx_node import TRANSLATIONS
from common.export.onnx.deform_conv3d.reference import deform_conv3d
from common.export.onnx.deform_conv3d.schema import DOMAIN
from tests.support.deform_conv3d import Call, random_call


class _Caller(torch.nn.Module):
    def __init__(self, call: Call) -> None:
        super().__init__()
        self.parameters_ = call.parameters

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        return deform_conv3d(*tensors, *self.parameters_)


def test_exporter_writes_one_node_that_onnx_accepts() -> None:
    call = random_call(2)
    program = torch.onnx.export(
        _Caller(call).eval(),
        tuple(map(torch.from_numpy, call.tensors)),
        dynamo=True,
        opset_version=18,
        custom_translation_table=TRANSLATIONS,
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    onnx.checker.check_model(model, full_check=True)
    (node,) = model.graph.node
    assert (node.domain, node.op_type) == (DOMAIN, "DeformConv3d")
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert attributes == {
        "strides": call.stride,
        "pads": call.padding * 2,
        "dilations": call.dilation,
        "group": call.groups,
        "offset_group": call.deformable_groups,
    }
