"""Shapes and parameters of a 3D deformable convolution, validated for all implementations."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.geometry import triple

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class ConvGeometry:
    """Sizes and parameters of one call; axes are (z, y, x), sizes in voxels."""

    batch: int
    channels: int
    size: Triple
    out_channels: int
    kernel: Triple
    stride: Triple
    padding: Triple
    dilation: Triple
    groups: int
    deformable_groups: int

    @property
    def taps(self) -> int:
        """Number of kernel positions."""
        return math.prod(self.kernel)

    @property
    def blocks(self) -> int:
        """Number of blocks of channels that belong to one group and to one deformable group."""
        return math.lcm(self.groups, self.deformable_groups)

    @property
    def out_size(self) -> Triple:
        """Size of the output in voxels."""
        return triple(
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(
                self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True
            )
        )

    @property
    def out_shape(self) -> tuple[int, int, int, int, int]:
        """Shape of the output, (N, O, D', H', W')."""
        return self.batch, self.out_channels, *self.out_size

    @property
    def offset_shape(self) -> tuple[int, int, int, int, int]:
        """Shape of the offsets, (N, G·taps·3, D', H', W'): deformable group, tap in C order, axis."""
        return self.batch, self.deformable_groups * self.taps * 3, *self.out_size

    def lattice(self, axis: int) -> NDArray[np.int64]:
        """Sampling positions along `axis` without offsets, in voxels; (taps, output size along the axis)."""
        tap = np.indices(self.kernel)[axis].reshape(-1, 1) * self.dilation[axis]
        return tap + np.arange(self.out_size[axis]) * self.stride[axis] - self.padding[axis]


def geometry(
    input_shape: Sequence[int],
    offset_shape: Sequence[int],
    weight_shape: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    deformable_groups: int,
) -> ConvGeometry:
    """Validate the shapes and parameters of one call; `ValueError` if they do not fit each other."""
    batch, channels, *size = input_shape
    out_channels, channels_per_group, *kernel = weight_shape
    found = ConvGeometry(
        batch,
        channels,
        triple(size),
        out_channels,
        triple(kernel),
        triple(stride),
        triple(padding),
        triple(dilation),
        groups,
        deformable_groups,
    )
    if channels != channels_per_group * groups or out_channels % groups or channels % deformable_groups:
        raise ValueError(
            f"weight {tuple(weight_shape)} with {groups} groups and {deformable_groups} deformable groups "
            f"does not fit an input of {channels} channels"
        )
    if min(found.out_size) < 1:
        raise ValueError(f"kernel {found.kernel} leaves nothing of an input of {found.size} voxels")
    if tuple(offset_shape) != found.offset_shape:
        raise ValueError(f"offset has shape {tuple(offset_shape)}, expected {found.offset_shape}")
    return found
