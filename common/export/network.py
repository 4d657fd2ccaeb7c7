"""Trained folds as the ONNX files and the numbers of one network of a model folder."""

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import torch

from common.errors import MachineError
from common.export.onnx.measure import tile_memory
from common.export.onnx.parity import measure_parity
from common.export.onnx.write import Graph
from common.inference.network import Fold, Network
from common.memory import MIB
from common.nnunet.plans import Plans
from common.sizes import at_least, at_most

logger = logging.getLogger(__name__)


TorchNetwork = TypeVar("TorchNetwork", bound=torch.nn.Module)


def same(network: torch.nn.Module) -> torch.nn.Module:
    """Leave a network as it is."""
    return network


def export_network(
    folder: Path,
    name: str,
    folds: Sequence[str],
    load: Callable[[str], TorchNetwork],
    *,
    channels: Sequence[str],
    patch: Sequence[int],
    classes: int,
    parity_patch: Sequence[int] | None = None,
    mirror_axes: Sequence[int] = (),
    plans: Plans | None = None,
    arrange: Callable[[TorchNetwork], torch.nn.Module] = same,
) -> Network:
    """Export every fold into `folder` as `<name>_fold_<fold>.onnx`, compared with torch.

    The graph is traced once; of every further fold only the weights are put in. One full tile of the first
    fold is run for its memory, and to see that its logits are finite.

    Parameters
    ----------
    folder
        Where the files go.
    name
        What the network is for: `segmentation`, `localisation`.
    folds
        The folds' names.
    load
        Gives a fold's network, set to inference; one is held at a time.
    channels
        Names of the input channels.
    patch
        Voxels of a tile, (z, y, x), or (row, column) for a 2D network.
    classes
        Background included.
    parity_patch
        A smaller tile to compare on, for networks that take any size.
    mirror_axes
        Array axes of the tile along which the training allows mirroring.
    plans
        nnU-Net's, where it prepares the network's input.
    arrange
        Gives a network that computes the same with layers that engines run faster: it is written, and
        compared with the one that it came from.

    Raises
    ------
    ModelError
        The logits differ, or are not finite, or a fold is of another make than the first.
    MachineError
        Memory runs out, or the disk has no room for all folds.

    """
    compared = (len(channels), *(parity_patch or patch))
    exporter = _Exporter(folder, name, len(folds), load, arrange, (len(channels), *patch), compared)
    exported = tuple(
        exporter.export(fold, f"{name}, fold {number} of {len(folds)}")
        for number, fold in enumerate(folds, start=1)
    )
    memory = tile_memory(exporter.path(folds[0]), (len(channels), *patch))
    logger.info("%s: one tile takes %.0f MiB", name, memory / MIB)
    return Network(
        name=name,
        channels=tuple(channels),
        patch=tuple(patch),
        classes=classes,
        mirror_axes=tuple(mirror_axes),
        folds=exported,
        tile_memory=memory,
        plans=plans,
    )


class _Exporter(Generic[TorchNetwork]):
    """Writes one fold after the other into the graph that the first gave."""

    def __init__(
        self,
        folder: Path,
        name: str,
        count: int,
        load: Callable[[str], TorchNetwork],
        arrange: Callable[[TorchNetwork], torch.nn.Module],
        tile_shape: tuple[int, ...],
        compared: tuple[int, ...],
    ) -> None:
        self._folder, self._name, self._count = folder, name, count
        self._load, self._arrange = load, arrange
        self._tile_shape, self._compared = tile_shape, compared
        self._graph: Graph | None = None

    def path(self, fold: str) -> Path:
        return self._folder / f"{self._name}_fold_{fold}.onnx"

    def export(self, fold: str, progress: str) -> Fold:
        start = time.monotonic()
        path = self.path(fold)
        logger.info("%s: exporting %s", progress, path.name)
        network = self._load(fold)
        if self._graph is None:
            _require_room(self._folder, network, self._count)
        arranged = self._arrange(network)
        self._graph = self._graph or Graph(arranged, self._tile_shape)
        self._graph.write(arranged, path)
        parity = measure_parity(network, path, self._compared)
        logger.info(
            "%s: %.0f MiB, logits within %.1e of torch's (RMS %.1e of their standard deviation), %.0f s",
            progress,
            path.stat().st_size / MIB,
            parity.max_difference,
            parity.relative_rms_difference,
            time.monotonic() - start,
        )
        return Fold(name=fold, path=path, parity=parity)


def _require_room(folder: Path, network: torch.nn.Module, folds: int) -> None:
    """Raise `MachineError` where the weights of so many folds do not fit on the disk."""
    weights = sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))
    needed, disk = folds * weights, shutil.disk_usage(folder)
    if needed > disk.free and disk.total:
        raise MachineError(
            f"{folder}: the network's {folds} folds need {at_least(needed, MIB)} MiB, "
            f"{at_most(disk.free, MIB)} MiB are free; make room there, or give another --model"
        )
