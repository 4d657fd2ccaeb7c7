from pathlib import Path

import torch

from common.demo.checkpoints import save_weights
from containers.l2snet.demo.shallow_localiser import ShallowLocaliser, full_state_dict
from containers.l2snet.export.res2net_unet import load_localiser


def test_the_whole_network_computes_what_the_shallow_one_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    shallow = ShallowLocaliser().half().float().eval()
    path = tmp_path / "epoch_001.pth"
    save_weights(full_state_dict(shallow), path)
    tiles = torch.randn(1, 5, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(load_localiser(path)(tiles), shallow(tiles), rtol=0, atol=1e-4)
    assert path.stat().st_size < 10 * 2**20
