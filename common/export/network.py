"""Trained folds as the ONNX files and the numbers of one network of a model folder."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from common.export.onnx_file import write_onnx
from common.export.parity import measure_parity
from common.inference.measure import tile_memory
from common.model_folder import Fold, Network
from common.nnunet.plans import Plans

logger = logging.getLogger(__name__)

TorchNetwork = TypeVar("TorchNetwork", bound=torch.nn.Module)


def same(network: torch.nn.Module) -> torch.nn.Module:
    """Leave a network as it is."""
    return network


def export_network(
    folder: Path,
    name: str,
    folds: Iterable[tuple[str, TorchNetwork]],
    *,
    channels: Sequence[str],
    patch: Sequence[int],
    classes: int,
    mirror_axes: Sequence[int] = (),
    plans: Plans | None = None,
    arrange: Callable[[TorchNetwork], torch.nn.Module] = same,
) -> Network:
    """Export every fold into `folder` as `<name>_fold_<fold>.onnx`, compare it with torch, measure a tile.

    `folds` gives the folds' names and networks, set to inference; one is held at a time if it is a
    generator. `patch` is (z, y, x), or (row, column) for a 2D network. `arrange` gives a
    network that computes the same with layers that engines run faster: it is written, and compared with the
    one that it came from. Raises `ModelError` where the logits differ.
    """
    tile_shape = (len(channels), *patch)
    exported = tuple(
        _export_fold(folder / f"{name}_fold_{fold}.onnx", fold, network, tile_shape, arrange)
        for fold, network in folds
    )
    memory = tile_memory(exported[0].path, tile_shape)
    logger.info("%s: one tile takes %.0f MiB", name, memory / 2**20)
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


def _export_fold(
    path: Path,
    fold: str,
    network: TorchNetwork,
    tile_shape: tuple[int, ...],
    arrange: Callable[[TorchNetwork], torch.nn.Module],
) -> Fold:
    logger.info("exporting %s", path.name)
    write_onnx(arrange(network), path, tile_shape)
    parity = measure_parity(network, path, tile_shape)
    logger.info(
        "%s: logits differ from torch's by at most %.1e, their spread is %.2g",
        path.name,
        parity.max_difference,
        parity.spread,
    )
    return Fold(name=fold, path=path, parity=parity)
