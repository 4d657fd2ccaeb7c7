import copy
import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

from common.errors import MachineError, ModelError
from common.export.onnx import write as onnx_file
from common.export.onnx.resize import write_resized
from common.export.onnx.write import Graph, write_onnx
from common.inference.engines import EngineName
from common.inference.engines.ladder import make_engine

TILE = (2, 8, 12, 16)
ON_CPU: tuple[EngineName, ...] = ("cpu", "openvino")


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """A network with every kind of layer that nnU-Net's plans name."""
    torch.manual_seed(0)
    return ResidualEncoderUNet(
        input_channels=2,
        n_stages=3,
        features_per_stage=[4, 6, 8],
        conv_op=torch.nn.Conv3d,
        kernel_sizes=[[1, 3, 3], [3, 3, 3], [3, 3, 3]],
        strides=[[1, 1, 1], [1, 2, 2], [2, 2, 2]],
        n_blocks_per_stage=1,
        num_classes=3,
        n_conv_per_stage_decoder=1,
        conv_bias=True,
        norm_op=torch.nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        dropout_op=torch.nn.Dropout3d,
        dropout_op_kwargs={"p": 0.5},
        nonlin=torch.nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    ).eval()


@pytest.fixture(scope="module")
def exported(network: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "network.onnx"
    write_onnx(network, path, TILE)
    return path


def test_the_file_has_one_input_and_one_output_of_fixed_shape(exported: Path) -> None:
    graph = onnx.load(exported).graph
    for values, name, shape in (
        (graph.input, "tiles", (1, *TILE)),
        (graph.output, "logits", (1, 3, *TILE[1:])),
    ):
        (value,) = values
        assert value.name == name
        assert tuple(size.dim_value for size in value.type.tensor_type.shape.dim) == shape
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_the_graph_holds_whole_standard_operators(exported: Path) -> None:
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
    assert {node.op_type for node in model.graph.node} == {
        *("Conv", "ConvTranspose", "InstanceNormalization", "LeakyRelu"),
        *("Add", "AveragePool", "Concat"),
    }


def test_the_file_stands_alone_and_tells_nothing_about_this_machine(exported: Path) -> None:
    assert [path.name for path in exported.parent.iterdir()] == ["network.onnx"]
    content = exported.read_bytes()
    assert b"dynamic_network_architectures" not in content
    assert str(Path(torch.__file__).parent).encode() not in content


def test_the_logits_are_torchs(network: torch.nn.Module, exported: Path) -> None:
    tiles = np.random.default_rng(0).standard_normal((1, *TILE), np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(tiles)).numpy()
    np.testing.assert_allclose(make_engine(exported, engine="cpu").run(tiles), expected, atol=1e-5)


def test_the_same_network_gives_the_same_bytes(
    network: torch.nn.Module, exported: Path, tmp_path: Path
) -> None:
    write_onnx(network, tmp_path / "again.onnx", TILE)
    assert (tmp_path / "again.onnx").read_bytes() == exported.read_bytes()


def test_exporting_says_nothing(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    caplog.set_level(logging.INFO)
    write_onnx(torch.nn.Conv3d(2, 2, 1).eval(), tmp_path / "a.onnx", TILE)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert not recwarn.list


def test_a_network_too_large_for_one_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "MAX_BYTES", 1000)
    with pytest.raises(ModelError, match="the network has 3520 bytes of weights, an ONNX file holds 1000"):
        write_onnx(torch.nn.Conv3d(2, 16, 3), tmp_path / "a.onnx", TILE)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"no/a.onnx: cannot be written \(No such file"):
        write_onnx(torch.nn.Conv3d(2, 2, 1).eval(), tmp_path / "no" / "a.onnx", TILE)


def another(network: torch.nn.Module) -> torch.nn.Module:
    """A network of the same make with other weights."""
    other = copy.deepcopy(network)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(torch.randn_like(parameter))
    return other


def test_a_further_folds_weights_go_into_the_first_folds_graph(
    network: torch.nn.Module, exported: Path, tmp_path: Path
) -> None:
    graph, other = Graph(network, TILE), another(network)
    graph.write(other, tmp_path / "other.onnx")
    graph.write(network, tmp_path / "again.onnx")
    write_onnx(other, tmp_path / "alone.onnx", TILE)
    assert (tmp_path / "other.onnx").read_bytes() == (tmp_path / "alone.onnx").read_bytes()
    assert (tmp_path / "again.onnx").read_bytes() == exported.read_bytes()


def test_weights_that_are_alike_in_the_first_fold_stay_apart(tmp_path: Path) -> None:
    first = torch.nn.Sequential(*(torch.nn.Conv3d(2, 2, 1) for _ in range(3))).eval()
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.zero_()
    second = another(first)
    Graph(first, TILE).write(second, tmp_path / "a.onnx")
    tiles = np.random.default_rng(0).standard_normal((1, *TILE), np.float32)
    with torch.inference_mode():
        expected = second(torch.from_numpy(tiles)).numpy()
    np.testing.assert_allclose(make_engine(tmp_path / "a.onnx", engine="cpu").run(tiles), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (torch.nn.Conv3d(2, 3, 1), "(3, 2, 1, 1, 1)"),
        (torch.nn.Sequential(torch.nn.Conv3d(2, 2, 1)), "None"),
    ],
)
def test_a_fold_of_another_make_is_refused(other: torch.nn.Module, found: str, tmp_path: Path) -> None:
    graph = Graph(torch.nn.Conv3d(2, 2, 1).eval(), TILE)
    with pytest.raises(ModelError, match=r"a.onnx: the fold's tensor weight has the shape") as caught:
        graph.write(other, tmp_path / "a.onnx")
    assert f"{found}, expected (2, 2, 1, 1, 1) as in the first fold" in str(caught.value)
    assert not (tmp_path / "a.onnx").exists()


def test_a_resized_file_computes_the_same_network(
    network: torch.nn.Module, exported: Path, tmp_path: Path
) -> None:
    write_resized(exported, (2, 4, 8, 8), tmp_path / "small.onnx")
    tiles = np.random.default_rng(0).standard_normal((1, 2, 4, 8, 8), np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(tiles)).numpy()
    for engine in ON_CPU:
        found = make_engine(tmp_path / "small.onnx", engine=engine).run(tiles)
        np.testing.assert_allclose(found, expected, atol=1e-5)
