"""The algorithms: found as folders, and what each of them must have.

A folder of `containers` with an `algorithm.py` is an algorithm; docker/lib.sh has the same rule.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast

from common.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from common.case import Case
    from common.inference.options import Options
    from common.model.model import Model

FOLDER = Path(__file__).parents[1] / "containers"


class Segmenter(Protocol):
    """What `containers/<algorithm>/algorithm.py` has."""

    def segment(self, case: Case, model: Model, options: Options) -> NDArray[np.uint8]:
        """The mask (z, y, x) on the case's grid; the case's images may be used up.

        Raises `InputError` for a case, `ModelError` for a model that does not fit, and `MachineError` when
        memory or time do not suffice.
        """
        ...


class Exporter(Protocol):
    """What `containers/<algorithm>/export/__init__.py` has; its own options are further keyword arguments."""

    def export(self, checkpoint: Path, destination: Path, folds: Sequence[str] | None = None) -> None:
        """Write the model folder `destination` from the trained folder `checkpoint`: all folds, or some.

        Raises `ModelError` for a checkpoint that is damaged, hostile, or not one of this algorithm, and
        `MachineError` when memory runs out.
        """
        ...


def names() -> list[str]:
    """The algorithms there are."""
    return sorted(path.parent.name for path in FOLDER.glob("*/algorithm.py"))


def interface_path(name: str) -> Path:
    """An algorithm's `interface.json`; `InputError` for a name that is none."""
    if name not in names():
        raise InputError(f"there is no algorithm {name!r}; choose one of {names()}")
    return FOLDER / name / "interface.json"


def segmenter(name: str) -> Segmenter:
    """The module that segments a case; raises as `interface_path`."""
    return cast("Segmenter", module(name, "algorithm"))


def exporter(name: str) -> Exporter:
    """The package that exports a checkpoint, and imports torch; raises as `interface_path`."""
    return cast("Exporter", module(name, "export"))


def module(name: str, part: str) -> ModuleType:
    """A part of an algorithm's folder; raises as `interface_path`."""
    interface_path(name)
    return import_module(f"containers.{name}.{part}")
