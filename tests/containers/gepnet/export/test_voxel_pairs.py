import pytest
import torch

from containers.gepnet.export.voxel_pairs import FromPairs, ToPairs, on_pairs


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_on_pairs_gives_what_it_gives_on_voxels(kernel: int, bias: bool) -> None:
    torch.manual_seed(0)
    conv = torch.nn.Conv3d(3, 4, (3, 1, kernel), padding=(1, 0, kernel // 2), bias=bias)
    voxels = torch.randn(2, 3, 5, 6, 8)
    with torch.inference_mode():
        found = FromPairs()(on_pairs(conv)(ToPairs()(voxels)))
        torch.testing.assert_close(found, conv(voxels), rtol=0, atol=1e-5)


def test_a_block_on_pairs_gives_what_it_gives_on_voxels() -> None:
    torch.manual_seed(0)
    layers = torch.nn.Conv3d(2, 3, 5, padding=2), torch.nn.BatchNorm3d(3), torch.nn.LeakyReLU()
    block = torch.nn.Sequential(torch.nn.Sequential(*layers), torch.nn.Conv3d(3, 2, 3, padding=1))
    voxels = torch.randn(2, 2, 5, 6, 8)
    with torch.inference_mode():
        block(voxels)  # moves the norm's statistics away from 0 and 1
        found = FromPairs()(on_pairs(block)(ToPairs()(voxels)))
        torch.testing.assert_close(found, block.eval()(voxels), rtol=0, atol=1e-5)


def test_channels_joined_as_pairs_are_channels_joined() -> None:
    a, b = torch.randn(1, 2, 3, 4, 6), torch.randn(1, 1, 3, 4, 6)
    joined = torch.cat([ToPairs()(a), ToPairs()(b)], dim=1)
    assert torch.equal(FromPairs()(joined), torch.cat([a, b], dim=1))
