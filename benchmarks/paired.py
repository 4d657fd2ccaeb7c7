"""Paired measurement: this project and the original in turn, each run in a process of its own."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from common.memory import peak_memory

GIB = 2**30

Subject = Callable[[], Callable[[], object]]
"""Prepares, and returns the work to be timed."""


@dataclass(frozen=True)
class Measurement:
    """What some work took in a process of its own."""

    seconds: float
    peak: int
    """Bytes of the process."""


def main(
    description: str | None,
    subjects: Mapping[str, Subject],
    *,
    baseline: str,
    runs: int,
    prepare: Callable[[], object] = lambda: None,
) -> None:
    """Time one subject when named, else all of them in turn, and print medians and ratios to `baseline`.

    `prepare` is called once, before all subjects, to write the files that they read.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("subject", nargs="?", choices=list(subjects), help="run this alone, in this process")
    parser.add_argument("--runs", type=int, default=runs, help="of each subject (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.subject:
        seconds = timed(subjects[arguments.subject]())
        print(json.dumps(vars(Measurement(seconds, peak_memory()))))
    else:
        prepare()
        _print_table(_in_turn(list(subjects), arguments.runs), baseline)


def timed(work: Callable[[], object]) -> float:
    """Seconds that the work takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _in_turn(names: list[str], runs: int) -> dict[str, list[Measurement]]:
    """All subjects `runs` times, A B A B, so that a machine that slows down slows all alike."""
    measured: dict[str, list[Measurement]] = {name: [] for name in names}
    for run in range(runs):
        for name in names:
            output = subprocess.run(
                [sys.executable, *sys.argv, name], check=True, stdout=subprocess.PIPE, text=True
            ).stdout
            measured[name].append(Measurement(**json.loads(output.splitlines()[-1])))
            print(f"run {run + 1} of {runs}, {name}: {measured[name][-1].seconds:.2f} s", file=sys.stderr)
    return measured


def _print_table(measured: Mapping[str, list[Measurement]], baseline: str) -> None:
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    print(f"medians of {len(measured[baseline])} paired runs on cores {cores}\n")
    print(f"{'':24}{'seconds':>10}{'speed-up':>10}{'peak GiB':>10}")
    for name, runs in measured.items():
        ratios = [b.seconds / a.seconds for a, b in zip(runs, measured[baseline], strict=True)]
        seconds, peak = median(run.seconds for run in runs), median(run.peak for run in runs)
        print(f"{name:24}{seconds:10.2f}{median(ratios):10.2f}{peak / GIB:10.2f}")
