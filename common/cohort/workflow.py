"""Snakemake on a plan's batches: here by default, on a cluster by a profile."""

import os
import subprocess
import sys
from pathlib import Path

from common.cohort.plan import Batch
from common.errors import MachineError
from common.memory import MIB, available_memory

SNAKEFILE = Path(__file__).with_name("Snakefile")
PROJECT = Path(__file__).parents[2]


def run_batches(
    plan: Path, batches: list[Batch], jobs: int, profile: Path | None = None, *, dry: bool = False
) -> bool:
    """Work off the batches, as many at a time as fit into memory; returns whether all jobs ended well.

    Nothing is written outside the plan's folder. Raises `MachineError` without Snakemake.
    """
    try:
        import snakemake  # noqa: F401
    except ModuleNotFoundError as error:
        raise MachineError("snakemake is not installed; pip install '.[cohort]' in a checkout") from error
    cores = os.cpu_count() or 1
    output = plan.parent
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE), "--directory", str(output)]
    command += ["--config", f"plan={plan}", f"python={sys.executable}", f"threads={max(1, cores // jobs)}"]
    command += [
        "--keep-going",
        "--rerun-triggers",
        "mtime",
        "--rerun-incomplete",
        "--quiet",
        "all",
    ]
    if profile:
        command += ["--profile", str(profile.resolve()), "--jobs", str(jobs)]
    else:
        largest = max(batch.memory for batch in batches)
        memory = max(available_memory(), largest) // MIB
        command += ["--cores", str(cores), "--jobs", str(jobs), "--resources", f"mem_mb={memory}"]
    if dry:
        command.append("--dry-run")
    places = {"XDG_CACHE_HOME": output / "jobs/cache", "PYTHONPATH": _python_path()}
    ended = subprocess.run(
        command, env=os.environ | {name: str(place) for name, place in places.items()}, check=False
    )
    return ended.returncode == 0


def _python_path() -> str:
    """So that jobs find this project where it is not installed, too."""
    return os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
