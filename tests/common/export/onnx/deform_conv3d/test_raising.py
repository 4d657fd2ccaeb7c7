from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch

from common.errors import ModelError
from common.export.onnx.deform_conv3d.gather import gather
from common.export.onnx.deform_conv3d.grid_sample import OPSET, grid_sample
from common.export.onnx.deform_conv3d.lowering import MARK, Lowering, lower
from common.export.onnx.deform_conv3d.module import DeformConv3d
from common.export.onnx.deform_conv3d.raising import raise_operators
from common.export.onnx.write import write_onnx
from common.inference.engines.ladder import make_engine
from tests.support.deform_conv3d import by_torch, canonical_model, random_call

Described = list[tuple[str, str, list[str | None], dict[str, object], list[ir.Shape | None]]]


def described(model: ir.Model) -> Described:
    """Nodes with inputs by their names, attributes and shapes; an output is named where others read it."""
    return [
        (
            node.domain,
            node.op_type,
            [value.name for value in node.inputs if value is not None],
            {name: attribute.value for name, attribute in node.attributes.items()},
            [value.shape for value in node.outputs],
        )
        for node in model.graph
    ]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("lowering", "opset"), [(gather, 18), (grid_sample, OPSET)])
def test_raising_undoes_lowering_through_a_file(
    lowering: Lowering, opset: int, seed: int, tmp_path: Path
) -> None:
    expected = canonical_model(random_call(seed), opset)
    ir.save(lower(canonical_model(random_call(seed), opset), lowering), tmp_path / "a.onnx")
    raised = raise_operators(ir.load(tmp_path / "a.onnx"))
    assert described(raised) == described(expected)
    assert "DeformConv3d" in {node.op_type for node in raised.graph}
    assert [value.name for value in raised.graph.outputs] == [value.name for value in expected.graph.outputs]
    assert {name: value.shape for name, value in raised.graph.initializers.items()} == {
        name: value.shape for name, value in expected.graph.initializers.items()
    }
    onnx.checker.check_model(ir.to_proto(raised))


class Network(torch.nn.Module):
    """Two deformable convolutions, one after the other, among other layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = DeformConv3d(2, 4), DeformConv3d(4, 3)
        for layer in (self.first, self.second):
            torch.nn.init.normal_(layer.conv_offset.weight, std=0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.nn.functional.leaky_relu(self.first(x))) * 2


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("onnx") / "network.onnx"
    write_onnx(Network().eval(), path, (2, 5, 6, 7))
    return path


def test_an_exported_network_is_raised_to_what_it_was_lowered_from(exported: Path, tmp_path: Path) -> None:
    raised = raise_operators(ir.load(exported))
    operators = [node.op_type for node in raised.graph]
    assert operators == ["Conv", "DeformConv3d", "LeakyRelu", "Conv", "DeformConv3d", "Mul"]
    ir.save(lower(raised, gather), tmp_path / "again.onnx")
    tiles = np.random.default_rng(0).standard_normal((1, 2, 5, 6, 7), np.float32)
    first, again = (
        make_engine(path, engine="cpu").run(tiles) for path in (exported, tmp_path / "again.onnx")
    )
    np.testing.assert_array_equal(first, again)


def test_engines_do_not_see_the_mark(exported: Path, tmp_path: Path) -> None:
    model = ir.load(exported)
    for node in model.graph:
        node.metadata_props.clear()
    ir.save(model, tmp_path / "unmarked.onnx")
    tiles = np.random.default_rng(0).standard_normal((1, 2, 5, 6, 7), np.float32)
    for engine in ("cpu", "openvino"):
        marked, unmarked = (
            make_engine(path, engine=engine).run(tiles) for path in (exported, tmp_path / "unmarked.onnx")
        )
        np.testing.assert_array_equal(marked, unmarked)


def test_a_file_without_marks_is_refused(tmp_path: Path) -> None:
    write_onnx(torch.nn.Conv3d(2, 2, 1).eval(), tmp_path / "a.onnx", (2, 5, 6, 7))
    with pytest.raises(ModelError, match="export the checkpoint again, or choose --deform gather"):
        raise_operators(ir.load(tmp_path / "a.onnx"))


def test_a_mark_that_names_a_lost_input_is_refused() -> None:
    model = lower(canonical_model(random_call(0), 18), gather)
    (marked,) = (node for node in model.graph if MARK in node.metadata_props)
    marked.metadata_props[MARK] = marked.metadata_props[MARK].replace('"offset"', '"gone"')
    with pytest.raises(ModelError, match="the input gone, which the network's ONNX file lacks"):
        raise_operators(model)


def test_the_node_keeps_what_torch_computed() -> None:
    call = random_call(1)
    raised = raise_operators(lower(canonical_model(call, 18), gather))
    (node,) = (node for node in raised.graph if node.op_type == "DeformConv3d")
    (output,) = node.outputs
    assert output is raised.graph.outputs[0]
    assert output.shape == ir.Shape(by_torch(call).shape)
