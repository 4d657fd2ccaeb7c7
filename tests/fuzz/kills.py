"""End `petct run` and `petct export` by SIGKILL at random moments, and look at what they leave.

    PYTHONPATH=. .venv/bin/python -m tests.fuzz.kills --kills 50 [--seed 0] [--record]

An output folder must then hold the mask that a run left alone writes, byte for byte, or none; a model folder
must be the one that an export left alone writes, or be refused. Half of the moments are drawn from the whole
time that the command takes, half from the last tenth, in which it writes. `--record` writes what came of it
to `record.json`.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from common.demo.phantom.phantom import make_phantom
from common.demo.phantom.writing import write_phantom
from common.errors import ModelError
from common.grandchallenge.writing import UNFINISHED
from common.model.reading import read_model
from tests.fuzz.record import Kills, read_record, write_record
from tests.support.golden_cases import write_autopet_checkpoint
from tests.support.platform import REPOSITORY

ALGORITHM = "autopet_interactive"
SHAPE, SPACING = (20, 30, 32), (6.0, 4.0, 4.0)
PETCT = (sys.executable, "-m", "common.cli.main")


@dataclass(frozen=True)
class Target:
    """A command that writes a folder, and what a whole one looks like."""

    name: str
    command: Callable[[Path], list[str]]
    """Of the folder to write."""
    content: Callable[[Path], object]
    """What a folder holds; `None` for one that nobody takes for whole."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50, help="for each command")
    parser.add_argument("--command", choices=("run", "export"), help="(default: both)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action="store_true", help="keep the result in record.json")
    arguments = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        for target in targets(Path(scratch)):
            if arguments.command and not target.name.endswith(arguments.command):
                continue
            kills = try_kills(target, Path(scratch), arguments.kills, arguments.seed)
            print(
                f"{kills.command}: {kills.kills} kills, {kills.nothing} left nothing, {kills.whole} all, "
                f"{kills.failures} a part"
            )
            failures += kills.failures
            if arguments.record:
                record = read_record()
                others = [other for other in record.kills if other.command != kills.command]
                write_record(replace(record, kills=(*others, kills)))
    return failures > 0


def targets(scratch: Path) -> list[Target]:
    """Both commands, with a case and a checkpoint to work on."""
    checkpoint = write_autopet_checkpoint(scratch / "checkpoint")
    model = scratch / "model"

    def export(folder: Path) -> list[str]:
        return ["export", ALGORITHM, "--checkpoint", str(checkpoint), "--model", str(folder)]

    subprocess.run([*PETCT, *export(model)], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    write_phantom(make_phantom(1, SHAPE, SPACING), scratch / "case", scratch / "truth/case.mha")

    def run(folder: Path) -> list[str]:
        folders = ["--input", str(scratch / "case"), "--output", str(folder), "--model", str(model)]
        return ["run", ALGORITHM, "--engine", "cpu", *folders]

    return [Target("petct run", run, _masks), Target("petct export", export, _model)]


def try_kills(target: Target, scratch: Path, count: int, seed: int) -> Kills:
    """Kill the command so often, each time with an empty folder to write."""
    reference, folder = scratch / "reference", scratch / "killed"
    started = time.monotonic()
    end_after(target, reference, None)
    usual = time.monotonic() - started
    whole = target.content(reference)
    assert whole is not None
    chance = Random(seed)
    found: list[object] = []
    for number in range(count):
        share = chance.uniform(0, 1.1) if number % 2 else chance.uniform(0.9, 1.1)
        end_after(target, folder, share * usual)
        found.append(target.content(folder))
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(reference)
    nothing, same = found.count(None), found.count(whole)
    return Kills(target.name, seed, count, nothing, same, count - nothing - same)


def end_after(target: Target, folder: Path, seconds: float | None) -> None:
    """Run the command, killed after so many seconds unless it has ended by then, or left alone."""

    with subprocess.Popen(
        [*PETCT, *target.command(folder)],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()


def _masks(folder: Path) -> object:
    """Names and bytes of all files but hidden ones that the next run removes."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(UNFINISHED)]
    return sorted((str(path.relative_to(folder)), path.read_bytes()) for path in files) or None


def _model(folder: Path) -> object:
    try:
        return replace(read_model(folder, ALGORITHM), networks=()), _hashes(folder)
    except ModelError:
        return None


def _hashes(folder: Path) -> list[tuple[str, str]]:
    networks = read_model(folder, ALGORITHM).networks
    return [(fold.name, fold.sha256) for network in networks for fold in network.folds]


if __name__ == "__main__":
    sys.exit(main())
