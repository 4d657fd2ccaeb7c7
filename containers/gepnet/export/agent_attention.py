"""Agent attention in 3D, in the form of GEPNet."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from common.nnunet.resample import Shape

HEADS = 8
AGENTS_PER_AXIS = 7
AGENTS = AGENTS_PER_AXIS**3


class ADLA(nn.Module):
    """Attention through 343 agent tokens, pooled from the queries (Han et al. 2024, "Agent Attention").

    First the agents attend to all tokens, then all tokens attend to the agents. Both steps add a position
    bias per head, agent and token: a 7×7×7 table interpolated to the grid, and one number per plane of each
    axis. These biases, hundreds of MB on a fine grid, depend only on weights: the ONNX file holds the small
    tables and the operators, and an engine computes the biases once, when it loads the file.
    """

    def __init__(self, channels: int, grid: Shape) -> None:
        super().__init__()
        self.grid = grid
        self.scale = (channels // HEADS) ** -0.5
        self.q = nn.Linear(channels, channels, bias=False)
        self.kv = nn.Linear(channels, 2 * channels, bias=False)
        self.proj = nn.Linear(channels, channels)
        self.dwc = nn.Conv3d(channels, channels, 3, padding=1, groups=channels)
        z, y, x = grid
        for name, size in zip("zyx", grid, strict=True):
            pooling = functional.adaptive_avg_pool1d(torch.eye(size), AGENTS_PER_AXIS).T
            self.register_buffer(f"pooling_{name}", pooling, persistent=False)
        identity = torch.eye(AGENTS_PER_AXIS)[None]
        interpolation = functional.interpolate(identity, size=z, mode="linear")[0].T
        self.register_buffer("interpolation_z", interpolation, persistent=False)
        self.an_bias = _table(HEADS, AGENTS, *[AGENTS_PER_AXIS] * 3)
        self.ah_bias = _table(1, HEADS, AGENTS, z, 1, 1)
        self.aw_bias = _table(1, HEADS, AGENTS, 1, y, 1)
        self.ad_bias = _table(1, HEADS, AGENTS, 1, 1, x)
        self.na_bias = _table(HEADS, AGENTS, *[AGENTS_PER_AXIS] * 3)
        self.ha_bias = _table(1, HEADS, z, 1, 1, AGENTS)
        self.wa_bias = _table(1, HEADS, 1, y, 1, AGENTS)
        self.da_bias = _table(1, HEADS, 1, 1, x, AGENTS)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, voxels, channels) to the same shape."""
        queries = self.q(tokens)
        keys, values = self.kv(tokens).chunk(2, dim=-1)
        agents = _by_head(self._pool(queries)) * self.scale
        gathering = agents @ _by_head(keys).transpose(-1, -2) + self._agent_bias()
        gathered = gathering.softmax(dim=-1) @ _by_head(values)
        reading = _by_head(queries) @ agents.transpose(-1, -2) + self._token_bias()
        read = (reading.softmax(dim=-1) @ gathered).transpose(1, 2).flatten(2)
        local = self.dwc(values.transpose(1, 2).unflatten(2, self.grid)).flatten(2).transpose(1, 2)
        attended: Tensor = self.proj(read + local)
        return attended

    def _pool(self, queries: Tensor) -> Tensor:
        """Pool adaptively to 7×7×7, (B, 343, channels), as matrix products: ONNX has no operator for it."""
        pooled = queries.unflatten(1, self.grid)
        for axis, name in enumerate("zyx", start=1):
            pooled = _product_along(axis, self.get_buffer(f"pooling_{name}"), pooled)
        return pooled.flatten(1, 3)

    def _agent_bias(self) -> Tensor:
        """Return the position bias of the agents' attention, (heads, agents, voxels)."""
        return self._position_bias(self.an_bias, self.ah_bias, self.aw_bias, self.ad_bias)

    def _token_bias(self) -> Tensor:
        """Return the position bias of the tokens' attention, (heads, voxels, agents)."""
        along = (bias.movedim(-1, 2) for bias in (self.ha_bias, self.wa_bias, self.da_bias))
        return self._position_bias(self.na_bias, *along).transpose(-1, -2)

    def _position_bias(self, table: Tensor, along_z: Tensor, along_y: Tensor, along_x: Tensor) -> Tensor:
        """Interpolate a table to the grid and add a number per plane of each axis, (heads, agents, voxels).

        A matrix product interpolates along z. It comes last: its weights sum to one, so the numbers along y
        and x can be added before. The weights are the same for all heads and agents: TensorRT stores as many
        copies of them as a product takes, unless there is one.
        """
        _, y, x = self.grid
        in_plane = functional.interpolate(table, size=(AGENTS_PER_AXIS, y, x), mode="trilinear")
        rows = (in_plane + along_y[0] + along_x[0]).flatten(3)
        interpolated = self.get_buffer("interpolation_z") @ rows
        return (interpolated + along_z.reshape(HEADS, AGENTS, -1, 1)).flatten(2)


def _by_head(tokens: Tensor) -> Tensor:
    return tokens.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def _product_along(axis: int, matrix: Tensor, x: Tensor) -> Tensor:
    return (matrix @ x.flatten(axis + 1)).unflatten(-1, x.shape[axis + 1 :])


def _table(*shape: int) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02))
