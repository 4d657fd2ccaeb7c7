"""Random calls of the deformable convolution, as torch and ONNX take them, and what they must give."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray

from common.export.onnx.deform_conv3d.reference import deform_conv3d
from common.export.onnx.deform_conv3d.schema import DOMAIN, VERSION

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Call:
    input: Array
    offset: Array
    weight: Array
    bias: Array
    stride: list[int]
    padding: list[int]
    dilation: list[int]
    groups: int
    deformable_groups: int

    @property
    def tensors(self) -> tuple[Array, Array, Array, Array]:
        return self.input, self.offset, self.weight, self.bias

    @property
    def parameters(self) -> tuple[list[int], list[int], list[int], int, int]:
        return self.stride, self.padding, self.dilation, self.groups, self.deformable_groups


def random_call(seed: int) -> Call:
    """Sizes from 1 to 6 voxels, offsets up to three voxels (a fifth of them whole) and past the border."""
    rng = np.random.default_rng(seed)
    batch, groups, deformable_groups = (int(n) for n in rng.integers(1, [3, 4, 4]))
    channels = math.lcm(groups, deformable_groups) * int(rng.integers(1, 3))
    out_channels = groups * int(rng.integers(1, 4))
    size, kernel, stride, dilation = (rng.integers(1, high, 3) for high in (7, 4, 3, 3))
    reach = dilation * (kernel - 1) + 1
    padding = np.maximum(rng.integers(0, 3, 3), (reach - size + 1) // 2)
    out_size = (size + 2 * padding - reach) // stride + 1
    offset = rng.uniform(-3, 3, (batch, 3 * deformable_groups * kernel.prod(), *out_size))
    offset = np.where(rng.random(offset.shape) < 0.2, np.round(offset), offset)
    input_shape = (batch, channels, *size)
    weight_shape = (out_channels, channels // groups, *kernel)
    return Call(
        rng.standard_normal(input_shape, np.float32),
        offset.astype(np.float32),
        rng.standard_normal(weight_shape, np.float32),
        rng.standard_normal(out_channels, np.float32),
        stride.tolist(),
        padding.tolist(),
        dilation.tolist(),
        groups,
        deformable_groups,
    )


def by_torch(call: Call) -> Array:
    output: Array = deform_conv3d(*map(torch.from_numpy, call.tensors), *call.parameters).numpy()
    return output


def by_loop(call: Call) -> Array:
    """Sum over every output voxel's taps, each over its sample's eight neighbours."""
    kernel, out_size = call.weight.shape[2:], call.offset.shape[2:]
    batch, channels, *_ = call.input.shape
    offset = call.offset.reshape(batch, call.deformable_groups, -1, 3, *out_size).astype(np.float64)
    columns = np.zeros(
        (batch, call.deformable_groups, channels // call.deformable_groups, offset.shape[2], *out_size)
    )
    volume = call.input.reshape(batch, call.deformable_groups, -1, *call.input.shape[2:])
    for n, g in np.ndindex(batch, call.deformable_groups):
        for (t, tap), voxel in itertools.product(enumerate(np.ndindex(kernel)), np.ndindex(out_size)):
            start = np.multiply(voxel, call.stride) - call.padding + np.multiply(tap, call.dilation)
            sample = _trilinear(volume[n, g], start + offset[(n, g, t, slice(None), *voxel)])
            columns[(n, g, slice(None), t, *voxel)] = sample
    columns = columns.reshape(batch, call.groups, -1, math.prod(out_size))
    output = call.weight.reshape(call.groups, -1, columns.shape[2]) @ columns
    return (output.reshape(batch, -1, *out_size) + call.bias[:, None, None, None]).astype(np.float32)


def _trilinear(volume: Array, position: NDArray[np.float64]) -> NDArray[np.float64]:
    sample = np.zeros(volume.shape[0])
    lower = np.floor(position).astype(int)
    for corner in itertools.product((0, 1), repeat=3):
        neighbour = lower + corner
        if np.all(neighbour >= 0) and np.all(neighbour < volume.shape[1:]):
            sample += np.prod(1 - np.abs(position - neighbour)) * volume[(slice(None), *neighbour)]
    return sample


def canonical_model(call: Call, opset: int) -> ir.Model:
    """The call as one `petct::DeformConv3d` node; input and offset come one behind the other as `tiles`."""
    tape = ir.tape.Tape()
    tiles = _value("tiles", (call.input.size + call.offset.size,))
    lengths = tape.initializer(ir.tensor([call.input.size, call.offset.size], name="lengths"))
    parts = tape.op_multi_out("Split", [tiles, lengths], {"axis": 0}, num_outputs=2)
    input_, offset = (
        tape.op(
            "Reshape",
            [part, tape.initializer(ir.tensor(array.shape, name=f"{name}_shape"))],
            output=_value(name, array.shape),
        )
        for part, array, name in zip(parts, (call.input, call.offset), ("input", "offset"), strict=True)
    )
    weight, bias = (
        tape.initializer(ir.tensor(array, name=name))
        for array, name in ((call.weight, "weight"), (call.bias, "bias"))
    )
    output = tape.op(
        "DeformConv3d",
        [input_, weight, offset, bias],
        {
            "strides": call.stride,
            "pads": call.padding * 2,
            "dilations": call.dilation,
            "group": call.groups,
            "offset_group": call.deformable_groups,
        },
        domain=DOMAIN,
        output=_value("output", by_torch(call).shape),
    )
    graph = ir.Graph(
        [tiles],
        [output],
        nodes=tape.nodes,
        initializers=tape.initializers,
        opset_imports={"": opset, DOMAIN: VERSION},
        name="call",
    )
    return ir.Model(graph, ir_version=10)


def _value(name: str, shape: tuple[int, ...]) -> ir.Value:
    return ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(shape))
