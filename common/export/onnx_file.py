"""A torch network as an ONNX file that every engine takes."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass

from common.errors import MachineError, ModelError
from common.export.deform_conv3d.gather import gather
from common.export.deform_conv3d.lowering import Lowering, lower
from common.export.deform_conv3d.onnx_node import TRANSLATIONS

OPSET = 18
CHATTY = ("torch.onnx", "onnx_ir", "onnxscript")
MAX_BYTES = 2**31 - 1
"""Protocol buffers end there, and so do ONNX files without external data."""


def write_onnx(
    network: torch.nn.Module,
    path: Path,
    tile_shape: Sequence[int],
    lowering: Lowering | None = gather,
    opset: int = OPSET,
) -> None:
    """Write `network`, float32 and set to inference, for tiles of one fixed shape (C, [Z,] Y, X).

    The file has one input `tiles` (1, C, [Z,] Y, X) and one output `logits`, standard operators of
    `opset`, and holds its weights. Deformable convolutions are written by `lowering`, or left as what they
    are, nodes `petct::DeformConv3d`, for an engine that has its own way with them. The same network gives
    the same bytes. Nothing is computed: memory grows with the weights, not with the tile. Raises
    `ModelError` for a network above 2 GB.
    """
    size = sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))
    if size > MAX_BYTES:
        raise ModelError(f"{path}: the network has {size} bytes of weights, an ONNX file holds {MAX_BYTES}")
    with _quiet():
        exported = torch.onnx.export(
            network,
            (torch.zeros(1, *tile_shape),),
            dynamo=True,
            opset_version=opset,
            input_names=["tiles"],
            output_names=["logits"],
            custom_translation_table=TRANSLATIONS,
            verbose=False,
        )
        program = cast(torch.onnx.ONNXProgram, exported)
        if lowering:
            program.model = lower(program.model, lowering)
        # The exporter notes where in its source, and in this machine's folders, each node comes from.
        ClearMetadataAndDocStringPass()(program.model)
        try:
            program.save(path, external_data=False)
        except OSError as error:
            raise MachineError(f"{path}: cannot be written ({error.strerror}); free some space") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's own warnings say nothing about the network."""
    levels = {name: logging.getLogger(name).level for name in CHATTY}
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
