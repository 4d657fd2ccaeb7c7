import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

from common.errors import MachineError, ModelError
from common.export.onnx.compare import MIN_MARGIN, TOLERANCE, compare
from common.export.onnx.parity import MAX_CHANGED, measure_parity, smallest_patch
from common.export.onnx.write import write_onnx

TILE = (2, 6, 8, 10)


@pytest.fixture(scope="module")
def network() -> torch.nn.Conv3d:
    torch.manual_seed(0)
    return torch.nn.Conv3d(2, 3, 3, padding=1).eval()


@pytest.fixture(scope="module")
def exported(network: torch.nn.Conv3d, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parity") / "network.onnx"
    write_onnx(network, path, TILE)
    return path


def biased(network: torch.nn.Conv3d, by: float) -> torch.nn.Conv3d:
    """The same network, its logits moved."""
    other = torch.nn.Conv3d(2, 3, 3, padding=1).eval()
    other.load_state_dict(network.state_dict())
    assert other.bias is not None
    with torch.no_grad():
        other.bias += by
    return other


def test_the_exported_network_agrees_with_the_trained_one(network: torch.nn.Conv3d, exported: Path) -> None:
    parity = measure_parity(network, exported, TILE)
    assert 0 <= parity.max_difference < 1e-5
    assert 0.1 < parity.standard_deviation < 10
    assert parity.relative_rms_difference is not None
    assert 0 <= parity.relative_rms_difference < TOLERANCE / 10
    assert parity.changed_voxels == 0


def test_the_measured_differences_are_those_that_there_are(network: torch.nn.Conv3d, exported: Path) -> None:
    spread = measure_parity(network, exported, TILE).standard_deviation
    by = 0.5 * TOLERANCE * spread
    parity = measure_parity(biased(network, by), exported, TILE)
    assert parity.max_difference == pytest.approx(by, rel=0.05)
    assert parity.relative_rms_difference == pytest.approx(0.5 * TOLERANCE, rel=0.05)


def test_the_measurement_repeats(network: torch.nn.Conv3d, exported: Path) -> None:
    assert measure_parity(network, exported, TILE) == measure_parity(network, exported, TILE)


def test_a_difference_above_the_tolerance_is_refused(network: torch.nn.Conv3d, exported: Path) -> None:
    spread = measure_parity(network, exported, TILE).standard_deviation
    measure_parity(biased(network, 0.9 * TOLERANCE * spread), exported, TILE)
    with pytest.raises(ModelError, match=r"network.onnx: the logits differ from torch's by"):
        measure_parity(biased(network, 1.2 * TOLERANCE * spread), exported, TILE)


def test_a_difference_on_the_mirrored_tile_alone_is_seen(network: torch.nn.Conv3d, exported: Path) -> None:
    class WrongWhenMirrored(torch.nn.Module):
        calls = 0

        def forward(self, tiles: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return network(tiles) + (self.calls - 1)

    with pytest.raises(ModelError, match="differ"):
        measure_parity(WrongWhenMirrored(), exported, TILE)


def test_weights_that_are_not_finite_are_refused(network: torch.nn.Conv3d, exported: Path) -> None:
    with pytest.raises(ModelError, match="are all weights finite"):
        measure_parity(biased(network, float("nan")), exported, TILE)


def test_a_single_voxel_that_rounding_moves_far_is_not_a_wrong_export() -> None:
    expected = np.random.default_rng(0).standard_normal((1, 2, 100, 100, 100), np.float32)
    found = expected.copy()
    found[0, 0, 50, 50, 50] += 0.01
    parity = compare(expected, found)
    assert parity.max_difference == pytest.approx(0.01, rel=1e-3)
    assert parity.relative_rms_difference is not None
    assert parity.relative_rms_difference < TOLERANCE


def test_a_voxel_on_the_edge_may_change_class_and_one_that_is_clear_may_not() -> None:
    expected = np.zeros((1, 2, 10, 10, 10), np.float32)
    expected[0, 0] = 1
    spread = float(expected.std())
    expected[0, 1, 0, 0, 0] = 1 - 0.5 * MIN_MARGIN * spread
    found = expected[:, :].copy()
    found[0, :, 0, 0, 0] = found[0, ::-1, 0, 0, 0]
    assert compare(expected, found).changed_voxels == 0
    found[0, :, 0, 0, 1] = found[0, ::-1, 0, 0, 1]
    assert compare(expected, found).changed_voxels == pytest.approx(0.001)
    assert MAX_CHANGED < 0.001


def test_memory_that_runs_out_is_the_machines_fault(exported: Path) -> None:
    class TooLarge(torch.nn.Module):
        def forward(self, tiles: torch.Tensor) -> torch.Tensor:
            return tiles.new_empty(2**58)

    with pytest.raises(MachineError, match=r"network.onnx: not enough memory for one tile in torch"):
        measure_parity(TooLarge(), exported, TILE)


def test_a_network_that_fails_otherwise_is_a_bug(exported: Path) -> None:
    class Broken(torch.nn.Module):
        def forward(self, tiles: torch.Tensor) -> torch.Tensor:
            return tiles.reshape(7)

    with pytest.raises(RuntimeError, match="shape"):
        measure_parity(Broken(), exported, TILE)


STRIDES = [[1, 1, 1], [1, 2, 2], [2, 2, 2]]


@pytest.fixture(scope="module")
def unet() -> torch.nn.Module:
    torch.manual_seed(0)
    network = ResidualEncoderUNet(
        input_channels=2,
        n_stages=3,
        features_per_stage=[4, 6, 8],
        conv_op=torch.nn.Conv3d,
        kernel_sizes=[[1, 3, 3], [3, 3, 3], [3, 3, 3]],
        strides=STRIDES,
        n_blocks_per_stage=[1, 2, 2],
        num_classes=2,
        n_conv_per_stage_decoder=1,
        conv_bias=True,
        norm_op=torch.nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=torch.nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network.eval()


@pytest.fixture(scope="module")
def small(unet: torch.nn.Module) -> tuple[int, ...]:
    return (2, *smallest_patch((24, 48, 40), STRIDES))


def test_the_smallest_patch_has_two_voxels_at_the_deepest_stage() -> None:
    assert smallest_patch((24, 48, 40), STRIDES) == (4, 8, 8)
    assert smallest_patch((192, 192, 192), [[1, 1, 1]] + 5 * [[2, 2, 2]]) == (64, 64, 64)


def test_the_smallest_patch_is_no_larger_than_the_patch() -> None:
    assert smallest_patch((3, 48, 40), STRIDES) == (3, 8, 8)


@pytest.fixture(scope="module")
def unet_file(unet: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("unet") / "unet.onnx"
    write_onnx(unet, path, (2, 24, 48, 40))
    return path


def test_a_smaller_tile_than_the_files_may_be_compared(
    unet: torch.nn.Module, unet_file: Path, small: tuple[int, ...]
) -> None:
    before = unet_file.read_bytes()
    parity = measure_parity(unet, unet_file, small)
    assert parity.relative_rms_difference is not None
    assert parity.relative_rms_difference < TOLERANCE / 10
    assert [path.name for path in unet_file.parent.iterdir()] == ["unet.onnx"]
    assert unet_file.read_bytes() == before


def swap(module: Any) -> None:
    """Two filters of a convolution in each other's place."""
    module.weight[[0, 1]] = module.weight[[1, 0]]


def drop_bias(module: Any) -> None:
    module.bias[:] = 0


def transpose(module: Any) -> None:
    """A kernel mirrored about its diagonal."""
    module.weight[:] = module.weight.transpose(-1, -2).clone()


def wrong_epsilon(module: Any) -> None:
    for norm in module.modules():
        if isinstance(norm, torch.nn.InstanceNorm3d):
            norm.eps = 1e-3


LAYERS = {
    "all norms": "",
    "first convolution": "encoder.stem.convs.0.conv",
    "deepest convolution": "encoder.stages.2.blocks.1.conv2.conv",
    "last convolution": "decoder.stages.1.convs.0.conv",
    "deepest norm": "encoder.stages.2.blocks.1.conv1.norm",
    "first norm": "encoder.stem.convs.0.norm",
    "transposed convolution": "decoder.transpconvs.0",
    "segmentation layer": "decoder.seg_layers.1",
}


@pytest.mark.parametrize(
    ("layer", "mistake"),
    [
        ("first convolution", swap),
        ("deepest convolution", swap),
        ("last convolution", swap),
        ("segmentation layer", swap),
        ("deepest norm", drop_bias),
        ("first norm", drop_bias),
        ("transposed convolution", drop_bias),
        ("segmentation layer", drop_bias),
        ("first convolution", transpose),
        ("deepest convolution", transpose),
        ("last convolution", transpose),
        ("transposed convolution", transpose),
        ("all norms", wrong_epsilon),
        ("first norm", wrong_epsilon),
    ],
)
def test_a_wrong_export_is_caught_on_the_smallest_tile(
    unet: torch.nn.Module,
    unet_file: Path,
    small: tuple[int, ...],
    layer: str,
    mistake: Callable[[Any], None],
) -> None:
    wrong = copy.deepcopy(unet)
    with torch.no_grad():
        mistake(wrong.get_submodule(LAYERS[layer]))
    with pytest.raises(ModelError, match="the logits differ from torch's"):
        measure_parity(wrong, unet_file, small)
