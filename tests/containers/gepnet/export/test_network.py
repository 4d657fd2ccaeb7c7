from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from common.export.checkpoints.weights import load_weights
from common.export.onnx.deform_conv3d import grid_sample
from common.export.onnx.write import write_onnx
from common.inference.engines import EngineName
from common.inference.engines.ladder import make_engine
from containers.gepnet.export.network import GEPNet, on_voxel_pairs
from tests.golden import synth
from tests.support.golden_data import GOLDEN, document, weights

LAYOUT = "gepnet/pet_64.layout.json"
SHAPE = (64, 64, 64)
STRIDES = {
    "init": 8,
    "hyb_encoder.downs.0": 2,
    "hyb_encoder.vits.0": 1,
    "hyb_encoder.convs.2": 1,
    "hyb_decoder.vits.0": 1,
    "hyb_decoder.vits.2": 2,
    "cnn_decoder": 4,
    "out_skip": 4,
}


@pytest.fixture(scope="module")
def golden_network() -> GEPNet:
    network = GEPNet(SHAPE)
    load_weights(network, weights(LAYOUT, prefix=""), GOLDEN / LAYOUT)
    return network


@pytest.fixture(scope="module")
def golden_onnx(golden_network: GEPNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gepnet") / "network.onnx"
    write_onnx(on_voxel_pairs(golden_network), path, (1, *SHAPE))
    return path


@pytest.fixture(scope="module")
def expected() -> dict[str, NDArray[np.float32]]:
    with np.load(GOLDEN / "gepnet/pet_64.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def tile() -> NDArray[np.float32]:
    return synth.image(7, (1, *SHAPE))[None]


@pytest.fixture(scope="module")
def outputs(golden_network: GEPNet, tile: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """What torch gives for the golden tile, at the voxels that the golden file holds."""
    found: dict[str, NDArray[np.float32]] = {}

    def keep(name: str, step: int) -> Any:
        def hook(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
            found[name] = output[0, :, ::step, ::step, ::step].numpy()

        return hook

    hooks = [
        golden_network.get_submodule(name).register_forward_hook(keep(name, step))
        for name, step in STRIDES.items()
    ]
    with torch.inference_mode():
        found["logits"] = golden_network(torch.from_numpy(tile))[0].numpy()
    for hook in hooks:
        hook.remove()
    return found


def largest_difference(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """In units of the expected array's spread."""
    return float(np.abs(found - expected).max() / expected.std())


def test_the_state_dict_is_the_originals() -> None:
    found = {name: list(tensor.shape) for name, tensor in GEPNet(SHAPE).state_dict().items()}
    assert found == document(LAYOUT)


@pytest.mark.parametrize("name", [*STRIDES, "logits"])
def test_torch_gives_what_the_original_gives(
    name: str, outputs: dict[str, NDArray[np.float32]], expected: dict[str, NDArray[np.float32]]
) -> None:
    assert largest_difference(outputs[name], expected[name]) < 1e-3


@pytest.mark.parametrize("engine", ["cpu", "openvino"])
def test_every_engine_gives_what_the_original_gives(
    engine: EngineName,
    golden_onnx: Path,
    tile: NDArray[np.float32],
    expected: dict[str, NDArray[np.float32]],
) -> None:
    (logits,) = make_engine(golden_onnx, engine=engine).run(tile)
    assert largest_difference(logits, expected["logits"]) < 2e-3


def test_the_onnx_file_holds_no_position_sums(golden_network: GEPNet, golden_onnx: Path) -> None:
    size = sum(tensor.nbytes for tensor in golden_network.parameters())
    assert golden_onnx.stat().st_size <= 1.3 * size


def test_the_onnx_file_has_standard_operators_only(golden_onnx: Path) -> None:
    model = onnx.load(golden_onnx)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]


def test_without_lowering_the_file_says_where_convolutions_are_deformable(
    golden_network: GEPNet, tmp_path: Path
) -> None:
    path = tmp_path / "canonical.onnx"
    write_onnx(golden_network, path, (1, *SHAPE), lowering=None)
    nodes = [node for node in onnx.load(path).graph.node if node.domain == "petct"]
    assert [node.op_type for node in nodes] == ["DeformConv3d"] * 6


def test_lowered_to_grid_samples_it_gives_what_the_original_gives(
    golden_network: GEPNet,
    tile: NDArray[np.float32],
    expected: dict[str, NDArray[np.float32]],
    tmp_path: Path,
) -> None:
    path = tmp_path / "grid_sample.onnx"
    write_onnx(golden_network, path, (1, *SHAPE), grid_sample.grid_sample, grid_sample.OPSET)
    (logits,) = make_engine(path, engine="cpu").run(tile)
    assert largest_difference(logits, expected["logits"]) < 2e-3


def test_a_shape_that_cannot_be_halved_five_times_is_refused() -> None:
    with pytest.raises(ValueError, match="no multiple of 32"):
        GEPNet((128, 112, 128))


def test_two_channels_and_more_classes_are_possible() -> None:
    network = GEPNet((32, 32, 32), in_channels=2, num_classes=3).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 2, 32, 32, 32)).shape == (1, 3, 32, 32, 32)
