"""`petct cohort`: many cases through one algorithm."""

import argparse
import logging
from math import ceil
from pathlib import Path

from common import algorithms
from common.cli.arguments import add_settings, given_settings, number
from common.cohort.containers import ENGINES
from common.cohort.manifest import read_manifest
from common.cohort.plan import Work, batches_of, pending, save_plan, seconds_of
from common.cohort.summary import write_summary
from common.cohort.workflow import run_batches
from common.errors import InputError, MachineError
from common.memory import GIB
from common.model.interface import interface_of
from common.model.reading import read_model
from common.model.settings import choose

logger = logging.getLogger(__name__)

BATCH = 16
"""Cases of a batch at most, unless told otherwise."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The cases, the algorithm and its model, and how many at a time."""
    parser.add_argument(
        "cases", type=Path, metavar="CASES", help="CSV of case, input, truth; or a folder of cases"
    )
    parser.add_argument(
        "--algorithm", required=True, choices=algorithms.names(), metavar="NAME", help="%(choices)s"
    )
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="model folder")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder for masks and reports"
    )
    parser.add_argument("--jobs", type=number(int, 1), default=1, metavar="N", help="at a time (default: 1)")
    parser.add_argument(
        "--batch",
        type=number(int, 1),
        metavar="N",
        help=f"cases of a job (default: even shares, up to {BATCH})",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would run, and how long it would take"
    )
    parser.add_argument("--retry", action="store_true", help="begin cases again that failed")
    parser.add_argument(
        "--profile", type=Path, metavar="DIR", help="Snakemake's profile, for Slurm or Kubernetes"
    )
    parser.add_argument("--container", choices=ENGINES, help="run each case in a container of --image")
    parser.add_argument("--image", default="", help="the algorithm's image")
    add_settings(parser)


def execute(arguments: argparse.Namespace) -> None:
    """Work on the cases that are left; raises `MachineError` at the end where one has no mask."""
    if bool(arguments.container) != bool(arguments.image):
        raise InputError("--container and --image go together; give both or neither")
    name, output = arguments.algorithm, arguments.output.resolve()
    model = read_model(arguments.model, name)
    entries = read_manifest(arguments.cases)
    left = pending(entries, output, retry=arguments.retry)
    logger.info("%d of %d cases are left", len(left), len(entries))
    size = arguments.batch or min(BATCH, ceil(max(1, len(left)) / arguments.jobs))
    interface = interface_of(name, model)
    batches = batches_of(left, size, interface, model)
    settings = given_settings(arguments)
    work = Work(name, str(arguments.model.resolve()), settings, arguments.container or "", arguments.image)
    for batch in batches:
        cases = ", ".join(entry.case for entry in batch.cases)
        logger.info("a job of %d cases, %.1f GiB: %s", len(batch.cases), batch.memory / GIB, cases)
    if batches:
        plan = save_plan(work, batches, output)
        run_batches(plan, batches, arguments.jobs, arguments.profile, dry=arguments.dry_run)
    if arguments.dry_run:
        values, _ = choose(settings, model.run, interface.run)
        minutes = seconds_of(left, interface, model, values) / arguments.jobs / 60
        logger.info("about %.1f min on this machine, with %d at a time", minutes, arguments.jobs)
        return
    line = write_summary(entries, output)
    logger.info("%s; %s", line, output / "index.html")
    if failed := pending(entries, output, retry=True):
        raise MachineError(
            f"{len(failed)} of {len(entries)} cases have no mask; {output / 'index.html'} says why"
        )
