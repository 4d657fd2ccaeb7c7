"""`petct phantom`: synthetic cases and their truths."""

import argparse
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path

from common.cli.arguments import number
from common.demo.phantom.phantom import DEFAULT_SHAPE, DEFAULT_SPACING, make_phantom
from common.demo.phantom.writing import SOCKETS, write_phantom
from common.grandchallenge.interface import Socket
from common.inference.progress import Progress
from common.memory import require_memory
from common.model.reading import algorithm_of, read_model

PHANTOM_BYTES = 20
"""Bytes that a phantom takes for each voxel: both images, noise, and copies to write."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where it goes, and how large it is."""
    parser.add_argument("--output", type=Path, required=True, help="folder for input/ and truth/")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="DIR",
        help="write what this model's own sockets take (default: CT, PET)",
    )
    parser.add_argument("--seed", type=number(int, 0), default=0, help="(default: %(default)s)")
    parser.add_argument(
        "--cohort",
        type=number(int, 1),
        metavar="N",
        help="N cases, of this seed and the next: OUTPUT/CASE/, OUTPUT/truth/ and OUTPUT/manifest.csv",
    )
    _add_vector(parser, "--shape", number(int, 1), DEFAULT_SHAPE, "voxels")
    _add_vector(parser, "--spacing", number(float, 0.1, 100), DEFAULT_SPACING, "voxel edges, in mm")


def execute(arguments: argparse.Namespace) -> None:
    """Make the cases; raises `MachineError` for one that does not fit into memory."""
    folder: Path = arguments.output
    require_memory(PHANTOM_BYTES * prod(arguments.shape), "a phantom of this shape")
    sockets = _sockets(arguments.model)
    if arguments.cohort is None:
        _write(arguments, arguments.seed, folder / "input", sockets)
        return
    seeds = range(arguments.seed, arguments.seed + arguments.cohort)
    with Progress(len(seeds), "phantoms") as progress:
        for seed in seeds:
            _write(arguments, seed, folder / f"phantom_{seed}", sockets)
            progress.step()
    rows = [f"phantom_{seed},phantom_{seed},truth/phantom_{seed}.mha" for seed in seeds]
    (folder / "manifest.csv").write_text("\n".join(["case,input,truth", *rows, ""]), encoding="utf-8")


def _write(arguments: argparse.Namespace, seed: int, input_dir: Path, sockets: Sequence[Socket]) -> None:
    phantom = make_phantom(seed, tuple(arguments.shape), tuple(arguments.spacing))
    truth = arguments.output / "truth" / f"phantom_{seed}.mha"
    write_phantom(phantom, input_dir, truth, sockets)


def _sockets(folder: Path | None) -> Sequence[Socket]:
    """Those of a model folder that has its own; else those of every case."""
    model = read_model(folder, algorithm_of(folder)) if folder else None
    return model.interface.inputs if model and model.interface else SOCKETS


def _add_vector(
    parser: argparse.ArgumentParser,
    name: str,
    kind: Callable[[str], float],
    default: Sequence[float],
    text: str,
) -> None:
    axes, shown = ("Z", "Y", "X"), " ".join(map(str, default))
    parser.add_argument(
        name, type=kind, nargs=3, default=default, metavar=axes, help=f"{text} (default: {shown})"
    )
