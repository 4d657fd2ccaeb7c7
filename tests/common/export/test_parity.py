from pathlib import Path

import pytest
import torch

from common.errors import MachineError, ModelError
from common.export.onnx_file import write_onnx
from common.export.parity import TOLERANCE, measure_parity

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
    assert 0.1 < parity.spread < 10


def test_the_measured_difference_is_the_largest_one(network: torch.nn.Conv3d, exported: Path) -> None:
    parity = measure_parity(biased(network, 1e-4), exported, TILE)
    assert parity.max_difference == pytest.approx(1e-4, rel=0.05)


def test_the_measurement_repeats(network: torch.nn.Conv3d, exported: Path) -> None:
    assert measure_parity(network, exported, TILE) == measure_parity(network, exported, TILE)


def test_a_difference_above_the_tolerance_is_refused(network: torch.nn.Conv3d, exported: Path) -> None:
    spread = measure_parity(network, exported, TILE).spread
    measure_parity(biased(network, 0.9 * TOLERANCE * spread), exported, TILE)
    with pytest.raises(ModelError, match=r"network.onnx: ONNX Runtime's logits differ from torch's by"):
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
