"""One algorithm with one model, ready for one case after the other.

The model is read and the settings are chosen once; `petct run` takes one case, `petct serve` many.
"""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from common import algorithms
from common.errors import InputError, MachineError, ModelError
from common.grandchallenge.reading import read_case
from common.grandchallenge.writing import check_destination, prepare_folder, write_mask
from common.inference.engines.pool import EnginePool
from common.inference.engines.worker import OutOfTimeError
from common.inference.network import Fold, Network
from common.inference.predict import chosen_folds
from common.memory import GIB, MARGIN, MIB, available_memory, peak_memory
from common.model.interface import interface_of
from common.model.reading import read_model
from common.model.settings import MODEL_PLACE, Values, as_options, choose, describe, require_folds
from common.sizes import at_least, at_most

logger = logging.getLogger(__name__)

PATIENCE = 60.0
"""Seconds after the end of the warm-up in which the engine that it loads then may still get ready."""


class Session:
    """One algorithm with one model; `arguments` are the settings of the command line.

    With `keep`, engines stay for the next case, as far as memory allows; `engines` are others than its own.
    Raises `ModelError` for a model folder that is wrong, `InputError` for a setting that is.
    """

    def __init__(
        self,
        name: str,
        model_dir: Path,
        arguments: Values | None = None,
        *,
        keep: bool = False,
        engines: EnginePool | None = None,
    ) -> None:
        self._name = name
        self._model = read_model(model_dir, name)
        self._interface = interface_of(name, self._model)
        self._values, origins = choose(arguments or {}, self._model.run, self._interface.run)
        at_fault = ModelError if origins.get("folds") == MODEL_PLACE else InputError
        require_folds(self._values, self._model.fold_names, at_fault)
        logger.info("%s", describe(self._values, origins))
        choice = self._values["engine"], self._values["precision"]
        self._engines = engines or EnginePool(*choice, keep=keep)
        self._mask: Path | None = None
        """Of the case before."""

    def segment(self, input_dir: Path, output_dir: Path, start: float) -> Path:
        """Segment the case in `input_dir` and return the mask's path under `output_dir`.

        The mask of the case before is removed first. The time limit counts from `start` (`time.monotonic`).
        Raises a `PetctError` for everything the user can correct, where possible before the long work.
        """
        self._remove_earlier_mask()
        has_engines = not self._engines.is_empty
        try:
            return self._segment(input_dir, output_dir, start)
        except MachineError as error:
            if not has_engines:
                raise
            logger.info("once more, without the engines that earlier cases left: %s", error)
        # Outside `except`, whose traceback keeps the case's images alive.
        self._engines.release()
        return self._segment(input_dir, output_dir, start)

    def forget(self) -> None:
        """Keep the mask of the case before when the next one begins."""
        self._mask = None

    def _remove_earlier_mask(self) -> None:
        if self._mask is not None:
            self._mask.unlink(missing_ok=True)
            self._mask = None

    def _segment(self, input_dir: Path, output_dir: Path, start: float) -> Path:
        destination = output_dir / self._interface.mask.relative_path
        prepare_folder(destination)
        options = as_options(self._values, start, self._engines)
        case = read_case(input_dir, self._interface)
        check_destination(destination, case.stem, case.geometry)
        mask = algorithms.segmenter(self._name).segment(case, self._model, options)
        self._mask = write_mask(mask, case.geometry, destination, case.stem)
        return self._mask

    def warm_up(self, until: float) -> str:
        """Load the engines that cases use, in that order, and let each compute a tile of zeros.

        What is not begun at `until` (`time.monotonic`), or does not fit into memory beside those that are
        there, is left for the first case. Returns, and logs, what is ready. Raises `ModelError` for a network
        that no engine takes, and `MachineError` where none works.
        """
        in_use, reason, ready = list(self._in_use()), None, 0
        for network, fold in in_use:
            if reason := _reason_to_wait(network, until) or self._compute_a_tile(network, fold, until):
                break
            ready += 1
        left = f"; the first case loads the others: {reason}" if reason else ""
        line = f"ready: {ready} of {len(in_use)} engines{left}"
        logger.info("%s", line)
        return line

    def _in_use(self) -> Iterator[tuple[Network, Fold]]:
        options = as_options(self._values, time.monotonic(), self._engines)
        for network in self._model.networks:
            for fold in chosen_folds(network, options) if network.plans else network.folds[:1]:
                yield network, fold

    def _compute_a_tile(self, network: Network, fold: Fold, until: float) -> str | None:
        """Why the engine has not computed a tile; `None` if it has."""
        files, memory = network.files(fold), network.host_tile_memory
        try:
            engine = self._engines.load(network.name, files, memory, until + PATIENCE)
            for _ in engine.stream([np.zeros(engine.tile_shape[1:], np.float32)]):
                pass
        except OutOfTimeError:
            return f"{files.name} takes too long"
        return None


def _reason_to_wait(network: Network, until: float) -> str | None:
    """Why an engine of the network is not loaded before the first case; `None` if it is."""
    if time.monotonic() >= until:
        return "the time for it is over"
    needed, left = network.host_tile_memory, available_memory() - MARGIN
    if needed > left:
        return (
            f"network {network.name} needs about {at_least(needed, GIB)} GiB of memory, {at_most(left, GIB)} "
            "GiB are free"
        )
    return None


def summary(mask: Path, start: float) -> str:
    """The last line of a case that began at `start` (`time.monotonic`)."""
    seconds = time.monotonic() - start
    return f"done: {seconds:.1f} s, peak memory {peak_memory() // MIB} MiB, {mask}"
