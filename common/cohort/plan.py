"""What is left to do, in batches: each is a job that works on its cases in turn, in one warm process."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import inf
from pathlib import Path
from typing import Any

from common.cohort.manifest import Entry
from common.cohort.outcome import read_outcome
from common.dicom.reading import find_images
from common.errors import InputError, PetctError
from common.geometry import Geometry
from common.grandchallenge.dicom_case import is_study
from common.grandchallenge.images import find_image, read_geometry
from common.grandchallenge.interface import Interface
from common.inference.engines.pool import EnginePool
from common.inference.estimate import passes_of, seconds_of_tile, tiles_of
from common.inference.memory import case_memory
from common.memory import MIB
from common.model.model import Model

FILE = "cohort.json"
SETTINGS = "settings.json"
BASE_MEMORY = 600 * MIB
"""What a process holds without a case: libraries, a model's weights on their way, a report's pictures."""
FLOAT32 = 4
MAX_ATTEMPTS = 2
"""A case that ended its process twice is not begun again."""


@dataclass(frozen=True)
class Work:
    """How every case is worked on."""

    algorithm: str
    model: str
    """Folder."""
    settings: dict[str, Any]
    """Of the command line, as `petct run` takes them."""
    engine: str = ""
    """`docker` or `apptainer`, where cases run in containers."""
    image: str = ""


@dataclass(frozen=True)
class Batch:
    """One job."""

    name: str
    cases: tuple[Entry, ...]
    memory: int
    """Bytes that its largest case needs."""


def pending(entries: Sequence[Entry], output: Path, *, retry: bool) -> list[Entry]:
    """The cases that have no outcome yet; with `retry`, those that failed, too."""
    left = []
    for entry in entries:
        outcome = read_outcome(output / entry.case)
        if outcome is None or (outcome.failure and (retry or _was_cut_short(outcome.failure, outcome.begun))):
            left.append(entry)
    return left


def _was_cut_short(failure: str, begun: int) -> bool:
    return failure == CUT_SHORT and begun < MAX_ATTEMPTS


CUT_SHORT = "the case's process ended before the case did; see the job's log"
"""The failure of a case at work."""


def batches_of(entries: Sequence[Entry], size: int, interface: Interface, model: Model) -> list[Batch]:
    """The cases in batches of at most that many, the largest cases first, so that jobs end together."""
    needs = {entry.case: need_of(entry, interface, model) for entry in entries}
    ordered = sorted(entries, key=lambda entry: -needs[entry.case])
    chunks = [tuple(ordered[first : first + size]) for first in range(0, len(ordered), size)]
    return [Batch(_name(chunk), chunk, max(needs[entry.case] for entry in chunk)) for chunk in chunks]


def need_of(entry: Entry, interface: Interface, model: Model) -> int:
    """Bytes that a case takes at its peak; of one that cannot be read, what a process takes."""
    try:
        geometries = _geometries(Path(entry.input), interface)
    except PetctError:
        return BASE_MEMORY
    images = sum(FLOAT32 * _voxels(geometry) for geometry in geometries)
    networks = [network for network in model.networks if network.plans]
    work = max((case_memory(geometries[0], network)[1] for network in networks), default=0)
    return BASE_MEMORY + images + max(0, work)


def seconds_of(entries: Sequence[Entry], interface: Interface, model: Model, values: dict[str, Any]) -> float:
    """About how long the cases take one after the other on this machine, from the time of a tile.

    `values` are a run's settings, all of them. Raises as `EnginePool.load`.
    """
    networks = [network for network in model.networks if network.plans]
    engines = EnginePool(values["engine"], values["precision"])
    per_tile = {network.name: seconds_of_tile(network, engines) for network in networks}
    limit = values["time_limit"] or inf
    total = 0.0
    for entry in entries:
        with suppress(PetctError):  # a case that cannot be read takes no time
            (reference, *_) = _geometries(Path(entry.input), interface)
            work = (
                tiles_of(reference, network) * passes_of(network) * per_tile[network.name]
                for network in networks
            )
            total += min(limit, sum(work))
    return total


def save_plan(work: Work, batches: Sequence[Batch], output: Path) -> Path:
    """Write what the jobs need; raises `InputError` where the folder has outcomes of other work."""
    settings = json.loads(json.dumps(asdict(work)))  # as it is read back: tuples are lists
    kept = output / SETTINGS
    if kept.is_file() and json.loads(kept.read_text(encoding="utf-8")) != settings:
        raise InputError(
            f"{kept}: outcomes of another algorithm, model or settings; give another --output folder"
        )
    output.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    plan = output / FILE
    plan.write_text(
        json.dumps({"work": settings, "batches": [asdict(batch) for batch in batches]}, indent=1) + "\n",
        encoding="utf-8",
    )
    return plan


def load_batch(plan: Path, name: str) -> tuple[Work, Batch]:
    """A batch of a plan that `save_plan` wrote."""
    document = json.loads(plan.read_text(encoding="utf-8"))
    (found,) = (batch for batch in document["batches"] if batch["name"] == name)
    cases = tuple(Entry(**case) for case in found["cases"])
    return Work(**document["work"]), Batch(name, cases, found["memory"])


def _geometries(folder: Path, interface: Interface) -> list[Geometry]:
    """Of the case's images, the reference first."""
    if is_study(folder):
        return [image.geometry for image in find_images(folder).values()]
    sockets = [socket for socket in interface.inputs if socket.kind == "image"]
    sockets.sort(key=lambda socket: not socket.reference)
    return [
        read_geometry(find_image(folder / socket.relative_path))
        for socket in sockets
        if (folder / socket.relative_path).exists() or not socket.optional
    ]


def _voxels(geometry: Geometry) -> int:
    x, y, z = geometry.size
    return x * y * z


def _name(cases: Sequence[Entry]) -> str:
    """The same for the same cases."""
    return sha256("\n".join(entry.case for entry in cases).encode()).hexdigest()[:12]
