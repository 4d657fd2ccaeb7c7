import torch
from torch import Tensor
from torch.nn import functional

from containers.gepnet.export.agent_attention import ADLA, AGENTS, HEADS

GRID = (6, 8, 10)


def original_bias(attention: ADLA) -> Tensor:
    """The agents' position bias as GEPNet adds it up: four volumes of the grid's size."""
    table = functional.interpolate(attention.an_bias, size=GRID, mode="trilinear")
    along = attention.ah_bias + attention.aw_bias + attention.ad_bias
    return (table + along[0]).reshape(HEADS, AGENTS, -1)


def test_the_position_bias_is_the_sum_of_table_and_planes() -> None:
    torch.manual_seed(0)
    attention = ADLA(16, GRID)
    with torch.inference_mode():
        expected, found = original_bias(attention), attention._agent_bias()
    assert (found - expected).abs().max() < 1e-5 * expected.std()
