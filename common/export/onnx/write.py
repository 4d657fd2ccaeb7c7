"""Export of torch networks to ONNX files that every engine can load."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import onnx_ir as ir
import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from onnx_ir.tensor_adapters import TorchTensor

from common.errors import MachineError, ModelError
from common.export.onnx.deform_conv3d.gather import gather
from common.export.onnx.deform_conv3d.lowering import Lowering, lower
from common.export.onnx.deform_conv3d.onnx_node import TRANSLATIONS

OPSET = 18
QUIET_LOGGERS = ("torch.onnx", "onnx_ir", "onnxscript")
MAX_BYTES = 2**31 - 1
"""Maximum size of a protocol buffer, and so of an ONNX file without external data."""


class Graph:
    """The computation graph of a network without its weights: traced once, written for every fold.

    Parameters
    ----------
    network
        In float32 and in evaluation mode.
    tile_shape
        The fixed shape (C, [Z,] Y, X) of a tile.
    lowering
        Replaces deformable convolutions by standard operators; `None` keeps the nodes
        `petct::DeformConv3d`, for an engine with its own kernel.
    opset
        Version of the standard ONNX operators.

    """

    def __init__(
        self,
        network: torch.nn.Module,
        tile_shape: Sequence[int],
        lowering: Lowering | None = gather,
        opset: int = OPSET,
    ) -> None:
        with _quiet():
            program = _trace(network, tile_shape, opset)
            weights = _weights_as_inputs(program.model.graph, tensors_of(network))
            program.optimize()
            # The exporter stores source lines and paths of this machine with every node.
            ClearMetadataAndDocStringPass()(program.model)
            self._model = lower(program.model, lowering) if lowering else program.model
        self._weights = _inputs_as_weights(self._model.graph, weights)

    def write(self, network: torch.nn.Module, path: Path) -> None:
        """Write the graph with the weights of `network`, which has the architecture of the traced one.

        The file has one input `tiles` (1, C, [Z,] Y, X) and one output `logits`, and contains the weights.
        The same network gives the same bytes. Raises `ModelError` for weights of other names or shapes or of
        more than 2 GB, `MachineError` if the file cannot be written.
        """
        tensors = tensors_of(network)
        self._require_fit(tensors, path)
        initializers = self._model.graph.initializers
        try:
            for name in self._weights:
                initializers[name].const_value = TorchTensor(tensors[name].contiguous(), name=name)
            ir.save(self._model, path)
        except OSError as error:
            raise MachineError(f"{path}: cannot be written ({error.strerror}); free some space") from error
        finally:
            for name in self._weights:
                initializers[name].const_value = None

    def _require_fit(self, tensors: Mapping[str, torch.Tensor], path: Path) -> None:
        for name, shape in self._weights.items():
            found = tuple(tensors[name].shape) if name in tensors else None
            if found != shape:
                raise ModelError(
                    f"{path.name}: the fold's tensor {name} has the shape {found}, expected {shape} as in "
                    "the first fold; choose folds of one training with --folds"
                )
        size = sum(tensors[name].nbytes for name in self._weights)
        if size > MAX_BYTES:
            raise ModelError(
                f"{path}: the network has {size} bytes of weights, an ONNX file holds {MAX_BYTES}"
            )


def write_onnx(
    network: torch.nn.Module,
    path: Path,
    tile_shape: Sequence[int],
    lowering: Lowering | None = gather,
    opset: int = OPSET,
) -> None:
    """Trace a network and write it; see `Graph` for the arguments, and `Graph.write` for the errors."""
    Graph(network, tile_shape, lowering, opset).write(network, path)


def tensors_of(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return all parameters and buffers of a network by all of their names, also non-persistent buffers."""
    return {
        **dict(network.named_parameters(remove_duplicate=False)),
        **dict(network.named_buffers(remove_duplicate=False)),
    }


def _trace(network: torch.nn.Module, tile_shape: Sequence[int], opset: int) -> torch.onnx.ONNXProgram:
    """Trace with fake tensors, without computing: memory depends on the weights, not on the tile."""
    exported = torch.onnx.export(
        network,
        (torch.zeros(1, *tile_shape),),
        dynamo=True,
        opset_version=opset,
        input_names=["tiles"],
        output_names=["logits"],
        custom_translation_table=TRANSLATIONS,
        verbose=False,
        optimize=False,
    )
    return cast(torch.onnx.ONNXProgram, exported)


def _weights_as_inputs(graph: ir.Graph, tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Convert the weights to graph inputs and return their shapes by name.

    As constants, the optimiser would merge those that are equal in this fold, and fold what is computed from
    them.
    """
    names = [name for name in graph.initializers if name in tensors]
    for name in names:
        value = graph.initializers.pop(name)
        value.const_value = None
        graph.inputs.append(value)
    return {name: tuple(tensors[name].shape) for name in names}


def _inputs_as_weights(graph: ir.Graph, weights: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Convert the inputs back to weights; drop and do not return those that the optimiser left unused."""
    values = {value.name: value for value in graph.inputs if value.name in weights}
    for value in values.values():
        graph.inputs.remove(value)
    used = {name: shape for name, shape in weights.items() if values[name].uses()}
    graph.initializers.update({name: values[name] for name in used})
    return used


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the warnings of the exporter, which do not concern the network."""
    levels = {name: logging.getLogger(name).level for name in QUIET_LOGGERS}
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
