from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from common.errors import ModelError
from common.inference.engines.contract import Array, EngineInfo, TileByTile
from containers.l2snet.export.res2net_unet import load_localiser
from containers.l2snet.localisation import CHANNELS, TILE, localise
from tests.golden import synth
from tests.support import golden_data


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return golden_data.weights("l2snet/unet2d.layout.json", "unet2d/")


@pytest.fixture(scope="module")
def network(weights: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> torch.nn.Module:
    path = tmp_path_factory.mktemp("2d") / "epoch_030.pth"
    torch.save(weights, path)
    return load_localiser(path)


class TorchEngine(TileByTile):
    """The network in PyTorch, as an engine."""

    info = EngineInfo("torch", "cpu", "float32", torch.__version__)
    tile_shape = (1, CHANNELS, *TILE)

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = network

    def compute(self, tile: Array) -> Array:
        with torch.inference_mode():
            return self.network(torch.from_numpy(tile)[None])[0].numpy()


def test_logits_are_the_originals(network: torch.nn.Module) -> None:
    tiles = torch.from_numpy(synth.image(41, (5, 64, 96)))[None]
    with torch.inference_mode():
        logits = network(tiles)[0].numpy()
    np.testing.assert_allclose(logits, golden_data.expected("l2snet")["unet2d_logits"], rtol=0, atol=1e-3)


def test_localisation_is_the_originals(network: torch.nn.Module) -> None:
    case = golden_data.document("l2snet/case.json")
    pet = (np.exp(synth.image(case["seed"], (1, *case["pet_shape_zyx"]))[0]) * 2).astype(np.float32)
    expected = golden_data.expected("l2snet")["localisation_probability"]
    # Each slice depends on its neighbours only, and the network takes seconds a slice.
    probability = localise(pet[:, :, 8:14], TorchEngine(network))
    np.testing.assert_allclose(probability[:, :, 2:4], expected[:, :, 10:12], rtol=0, atol=1e-3)


def test_names_of_2023_give_the_same_network(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    old = {name.replace("encoder.model.", "encoder."): tensor for name, tensor in weights.items()}
    assert old.keys() != weights.keys()
    torch.save(old, tmp_path / "epoch_030.pth")
    loaded = load_localiser(tmp_path / "epoch_030.pth").state_dict()
    assert loaded.keys() == old.keys()
    assert all(torch.equal(tensor, old[name]) for name, tensor in loaded.items())


def test_another_encoder_is_refused(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    other = {name: tensor for name, tensor in weights.items() if ".convs.2." not in name}
    torch.save(other, tmp_path / "epoch_030.pth")
    with pytest.raises(
        ModelError, match=r"timm-res2net50_26w_4s: missing: encoder\.layer1\.0\.convs\.2\.weight"
    ):
        load_localiser(tmp_path / "epoch_030.pth")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"epoch_030\.pth: no such file"):
        load_localiser(tmp_path / "epoch_030.pth")


@pytest.mark.parametrize("content", [[], {"state_dict": {}}])
def test_a_file_of_something_else_is_refused(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "epoch_030.pth")
    with pytest.raises(ModelError, match="no tensors by name"):
        load_localiser(tmp_path / "epoch_030.pth")
