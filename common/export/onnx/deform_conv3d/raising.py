"""Return from the standard operators of a file to `petct::DeformConv3d` nodes, for engines with a kernel."""

import json

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from common.errors import ModelError
from common.export.onnx.deform_conv3d.lowering import MARK
from common.export.onnx.deform_conv3d.schema import DOMAIN, VERSION


def raise_operators(model: ir.Model) -> ir.Model:
    """Undo `lower`, in place: put the lowered nodes back and remove what only their lowering needed.

    Raises `ModelError` for a model without marks: of an older export, or without a deformable convolution.
    """
    graph = model.graph
    marked = [node for node in graph if MARK in node.metadata_props]
    if not marked:
        raise ModelError(
            "found no deformable convolution in the network's ONNX file, expected its mark; export the "
            "checkpoint again, or choose --deform gather"
        )
    values = ir.convenience.create_value_mapping(graph)
    for node in marked:
        ir.convenience.replace_nodes_and_values(
            graph, node, [node], [raised := _raised(node, values)], node.outputs, raised.outputs
        )
    model.opset_imports[DOMAIN] = VERSION
    RemoveUnusedNodesPass()(model)
    return model


def _raised(node: ir.Node, values: dict[str, ir.Value]) -> ir.Node:
    mark = json.loads(node.metadata_props[MARK])
    if lost := [name for name in mark["inputs"] if name not in values]:
        raise ModelError(
            f"the deformable convolution {node.name} was marked with the input {lost[0]}, which the "
            "network's ONNX file lacks; export the checkpoint again"
        )
    inputs = [values[name] for name in mark["inputs"]]
    return ir.node("DeformConv3d", inputs, mark["attributes"], domain=DOMAIN, version=VERSION)
