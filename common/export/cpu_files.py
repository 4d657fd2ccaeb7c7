"""The files of a model folder that CPU engines load: left out of it, or stored in half the size."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from common.errors import ModelError
from common.export.onnx.by_engine import logits_of, random_tile
from common.export.onnx.compare import compare
from common.export.onnx.float16_error import measured_tile
from common.export.onnx.float16_weights import store_float16_weights
from common.export.onnx.measure import tile_memory
from common.inference.network import Fold, Network
from common.memory import MIB
from common.model.model import Model
from common.model.reading import read_model
from common.model.writing import new_network_files, replace_networks

logger = logging.getLogger(__name__)

SUFFIX = ".float16.onnx"


def remove_cpu_files(folder: Path, algorithm: str) -> None:
    """Leave a model folder for GPUs alone: without ONNX files.

    Raises `ModelError` for a folder that `read_model` refuses, or where a network has no engines.
    """
    model = read_model(folder, algorithm)
    for network in model.networks:
        if not all(fold.engines for fold in network.folds):
            raise ModelError(f"{folder}: network {network.name} has no engines, so its ONNX files stay")
    with new_network_files(folder) as staging:
        replace_networks(folder, staging, _each_fold(model, lambda _, fold: replace(fold, path=None)))


def store_cpu_weights_in_float16(folder: Path, algorithm: str) -> None:
    """Replace a model folder's ONNX files by such with float16 weights; each fold's parity is measured anew.

    The folder holds a model whenever this is interrupted. Raises `ModelError` for a folder that `read_model`
    refuses, or a weight that float16 cannot hold, and `MachineError` where the machine cannot write or
    compute.
    """
    model = read_model(folder, algorithm)
    with new_network_files(folder) as staging:
        rounded = _measured(_each_fold(model, lambda network, fold: _round(network, fold, staging)))
        replace_networks(folder, staging, rounded)


def _each_fold(model: Model, change: Callable[[Network, Fold], Fold]) -> Model:
    networks = tuple(
        replace(network, folds=tuple(change(network, fold) for fold in network.folds))
        for network in model.networks
    )
    return replace(model, networks=networks)


def _measured(model: Model) -> Model:
    """With each network's memory for a tile: engines that widen weights hold both forms for a while."""
    networks = tuple(
        replace(network, tile_memory=tile_memory(path, (len(network.channels), *network.patch)))
        if (path := network.folds[0].path)
        else network
        for network in model.networks
    )
    return replace(model, networks=networks)


def _round(network: Network, fold: Fold, staging: Path) -> Fold:
    exact = fold.path
    if exact is None or exact.name.endswith(SUFFIX):
        return fold
    start = time.monotonic()
    path = staging / f"{exact.stem}{SUFFIX}"
    store_float16_weights(exact, path)
    tiles = [random_tile(measured_tile(exact))]
    parity = compare(logits_of(exact, tiles), logits_of(path, tiles))
    logger.info(
        "%s, fold %s: weights in float16, %.0f MiB, change the logits by %.1e of their deviation, %.0f s",
        network.name,
        fold.name,
        path.stat().st_size / MIB,
        parity.relative_rms_difference,
        time.monotonic() - start,
    )
    return replace(fold, path=path, parity=parity)
