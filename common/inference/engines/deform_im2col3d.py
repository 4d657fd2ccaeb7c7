"""The operator `petct::DeformIm2col3d` as a plugin of TensorRT and of TensorRT-RTX, by this project's kernel.

The same plugin builds engines, on machines without a GPU, and runs in them.

Source: NVIDIA, TensorRT Developer Guide, Adding Custom Layers using the Python API (`IPluginV3`).
"""

import ctypes
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol

import numpy as np

from common.errors import MachineError
from common.inference.files import KernelFile

NAMESPACE, NAME, VERSION = "petct", "DeformIm2col3d", "1"
RTX, LIBRARIES, LINK = "tensorrt_rtx_bindings", "tensorrt_rtx_libs", "libtensorrt_rtx.so"
"""TensorRT-RTX's module, the package of its libraries, and the name under which it looks for itself."""
THREADS = 256
"""Of a block, along the output voxels; the kernel is compiled for no more."""

Precision = Literal["float16", "float32"]
Triple = tuple[int, int, int]


class Launcher(Protocol):
    """The part of `common.inference.engines.gpu.Gpu` that starts kernels."""

    def load_kernel(self, image: bytes, name: str) -> int:
        """The kernel of that name in a cubin."""
        ...

    def launch(
        self,
        kernel: int,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Any],
        stream: int,
    ) -> None:
        """Start a kernel in the stream with that many blocks (x, y, z) of threads (x, y, z)."""
        ...


class Geometry(ctypes.Structure):
    """The kernel's struct of that name; axes (z, y, x), sizes in voxels."""

    _fields_ = (
        ("channels", ctypes.c_int),
        ("groups", ctypes.c_int),
        ("size", ctypes.c_int * 3),
        ("out_size", ctypes.c_int * 3),
        ("kernel", ctypes.c_int * 3),
        ("stride", ctypes.c_int * 3),
        ("padding", ctypes.c_int * 3),
        ("dilation", ctypes.c_int * 3),
    )


@dataclass(frozen=True)
class Sampling:
    """The operator's attributes; axes (z, y, x), in voxels."""

    kernel: Triple
    stride: Triple
    padding: Triple
    dilation: Triple
    groups: int
    """Groups of channels that share offsets."""

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, Sequence[int]]) -> "Sampling":
        """From the node's attributes, each a list; `pads` begins with the padding before the volume."""
        names = ("kernel_shape", "strides", "pads", "dilations")
        kernel, stride, padding, dilation = (_triple(attributes[name]) for name in names)
        return cls(kernel, stride, padding, dilation, int(attributes["offset_group"][0]))

    def attributes(self) -> dict[str, list[int]]:
        """The node's attributes again."""
        return {
            "kernel_shape": [*self.kernel],
            "strides": [*self.stride],
            "pads": [*self.padding, *self.padding],
            "dilations": [*self.dilation],
            "offset_group": [self.groups],
        }

    @property
    def taps(self) -> int:
        """Number of kernel positions."""
        return math.prod(self.kernel)


class Im2col:
    """The kernel on one GPU."""

    def __init__(self, launcher: Launcher, image: bytes) -> None:
        self._launcher = launcher
        self._kernels: dict[Precision, int] = {
            "float16": launcher.load_kernel(image, "deform_im2col3d_float16"),
            "float32": launcher.load_kernel(image, "deform_im2col3d_float32"),
        }

    def launch(
        self,
        sampling: Sampling,
        volume_shape: Sequence[int],
        offset_shape: Sequence[int],
        precision: Precision,
        volume: int,
        offset: int,
        columns: int,
        stream: int,
    ) -> None:
        """Start the kernel in the stream.

        `volume` (N, C, D, H, W), `offset` (N, 3·groups·taps, D', H', W') and `columns` (N, C·taps, D'·H'·W')
        are GPU addresses of contiguous tensors of one precision.
        """
        batch, channels, *size = volume_shape
        out_size = offset_shape[2:]
        geometry = Geometry(
            channels,
            sampling.groups,
            *(
                (ctypes.c_int * 3)(*axes)
                for axes in (
                    size,
                    out_size,
                    sampling.kernel,
                    sampling.stride,
                    sampling.padding,
                    sampling.dilation,
                )
            ),
        )
        blocks = batch * sampling.groups * sampling.taps * -(-math.prod(out_size) // THREADS)
        pointers = [ctypes.c_void_p(address) for address in (volume, offset, columns)]
        self._launcher.launch(
            self._kernels[precision], (blocks, 1, 1), (THREADS, 1, 1), [*pointers, geometry], stream
        )


def load_im2col(launcher: Launcher, kernels: Sequence[KernelFile], capability: tuple[int, int]) -> Im2col:
    """The kernel for a GPU of that compute capability, from a model folder's files.

    A cubin runs on GPUs of its own major capability whose minor one is not lower. Raises `MachineError` where
    no file is for this GPU, or where it cannot be read.
    """
    versions = {_version(kernel.capability): kernel.path for kernel in kernels}
    fitting = [found for found in versions if found[0] == capability[0] and found[1] <= capability[1]]
    if not fitting:
        found = ", ".join(kernel.capability for kernel in kernels) or "none"
        raise MachineError(
            f"the GPU has capability {capability[0]}.{capability[1]}, the model folder's kernels are "
            f"for {found}; export the checkpoint with --deform gather"
        )
    path = versions[max(fitting)]
    try:
        return Im2col(launcher, path.read_bytes())
    except OSError as error:
        raise MachineError(
            f"{path}: cannot be read ({error.strerror}); export the checkpoint again"
        ) from error


def register(trt: ModuleType, im2col: Im2col | None = None) -> Any:
    """Make the plugin known to a carrier's module, once for this process, and return its creator.

    What is built or loaded later finds it. `im2col` computes, from now on also for engines that are loaded
    already; `None` is enough to build. Raises `MachineError` where the carrier refuses the plugin or lacks
    its link.
    """
    creator = _creators.get(trt.__name__)
    if creator is None:
        if trt.__name__ == RTX:
            _require_link()
        creator = _creator_class(trt)()
        if not trt.get_plugin_registry().register_creator(creator, NAMESPACE):
            raise MachineError(f"{trt.__name__} {trt.__version__} refuses the plugin {NAMESPACE}::{NAME}")
        _creators[trt.__name__] = creator
    creator.im2col = im2col
    return creator


def _require_link() -> None:
    """Raise `MachineError` where TensorRT-RTX would not find itself under the name that its plugins ask for.

    It would end the process. It looks beside its own file, and then where the system's loader does.
    """
    package = find_spec(LIBRARIES)
    folders = [Path(folder) for folder in package.submodule_search_locations or ()] if package else []
    if any((folder / LINK).exists() for folder in folders):
        return
    try:
        ctypes.CDLL(LINK)
    except OSError as error:
        folder = folders[0] if folders else Path(LIBRARIES)
        raise MachineError(
            f"{folder / LINK}: not found, which TensorRT-RTX needs for plugins; "
            f"ln -s {LINK}.1 {folder / LINK}, or export the checkpoint with --deform gather"
        ) from error


_creators: dict[str, Any] = {}
"""By the carrier's module, which does not keep them alive."""


def _creator_class(trt: Any) -> Any:
    plugin_class = _plugin_class(trt)

    class Creator(trt.IPluginCreatorV3One):  # type: ignore[misc]
        """Makes the plugin from a node's attributes, and from those saved in an engine."""

        im2col: Im2col | None = None

        def __init__(self) -> None:
            trt.IPluginCreatorV3One.__init__(self)
            self.name, self.plugin_namespace, self.plugin_version = NAME, NAMESPACE, VERSION
            names = Sampling((1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1), 1).attributes()
            empty = np.array([], np.int32)
            self.field_names = trt.PluginFieldCollection(
                [trt.PluginField(name, empty, trt.PluginFieldType.INT32) for name in names]
            )

        def create_plugin(self, name: str, fields: Any, phase: Any) -> Any:
            attributes = {field.name: np.atleast_1d(field.data).tolist() for field in fields}
            return plugin_class(self, Sampling.from_attributes(attributes))

    return Creator


def _plugin_class(trt: Any) -> Any:
    bases = (trt.IPluginV3, trt.IPluginV3OneCore, trt.IPluginV3OneBuild, trt.IPluginV3OneRuntime)
    precisions = {trt.float16: "float16", trt.float32: "float32"}
    return type("Plugin", (_Plugin, *bases), {"trt": trt, "bases": bases, "precisions": precisions})


class _Plugin:
    """One node, with inputs X and offset and the output columns; the methods are those of `IPluginV3`."""

    trt: Any
    bases: tuple[Any, ...]
    """The carrier's interfaces, from which the class that is used is derived as well."""
    precisions: Mapping[Any, Precision]
    """Of the carrier's types."""

    def __init__(self, creator: Any, sampling: Sampling) -> None:
        for base in self.bases:
            base.__init__(self)
        self.plugin_name, self.plugin_namespace, self.plugin_version = NAME, NAMESPACE, VERSION
        self.num_outputs = 1
        self._creator, self._sampling = creator, sampling
        self._fields = [
            self.trt.PluginField(name, np.array(values, np.int32), self.trt.PluginFieldType.INT32)
            for name, values in sampling.attributes().items()
        ]

    def get_capability_interface(self, kind: Any) -> Any:
        return self

    def clone(self) -> Any:
        return type(self)(self._creator, self._sampling)

    def get_fields_to_serialize(self) -> Any:
        return self.trt.PluginFieldCollection(self._fields)

    def get_output_data_types(self, inputs: Any) -> Any:
        return [inputs[0]]

    def get_output_shapes(self, inputs: Any, shape_inputs: Any, builder: Any) -> Any:
        def product(first: Any, *others: Any) -> Any:
            for other in others:
                first = builder.operation(self.trt.DimensionOperation.PROD, first, other)
            return first

        volume, offset = inputs
        columns = self.trt.DimsExprs(3)
        columns[0] = volume[0]
        columns[1] = product(volume[1], builder.constant(self._sampling.taps))
        columns[2] = product(offset[2], offset[3], offset[4])
        return [columns]

    def supports_format_combination(self, position: int, tensors: Any, inputs: int) -> bool:
        found, first = tensors[position].desc, tensors[0].desc
        return (
            found.format == self.trt.TensorFormat.LINEAR
            and found.type == first.type
            and first.type in self.precisions
        )

    def configure_plugin(self, inputs: Any, outputs: Any) -> None:
        pass

    def on_shape_change(self, inputs: Any, outputs: Any) -> None:
        pass

    def attach_to_context(self, context: Any) -> Any:
        return self.clone()

    def get_valid_tactics(self) -> list[int]:
        return []

    def set_tactic(self, tactic: int) -> None:
        pass

    def enqueue(
        self, inputs: Any, outputs: Any, addresses: Any, targets: Any, workspace: int, stream: int
    ) -> None:
        if self._creator.im2col is None:
            raise MachineError(f"{NAMESPACE}::{NAME} has no kernel to run; load the engine with one")
        volume, offset = inputs
        self._creator.im2col.launch(
            self._sampling,
            tuple(volume.dims),
            tuple(offset.dims),
            self.precisions[volume.type],
            *addresses,
            *targets,
            stream,
        )


def _triple(values: Sequence[int]) -> Triple:
    z, y, x = (int(value) for value in values[:3])
    return z, y, x


def _version(capability: str) -> tuple[int, int]:
    major, minor = map(int, capability.split("."))
    return major, minor
