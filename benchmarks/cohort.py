"""Cases per hour: `petct cohort` against a shell loop over `docker run`, with the same image and model.

python benchmarks/cohort.py [--cases N] [--jobs N] [--shape Z Y X] [--algorithm NAME]

`./build.sh` has built image and model of the demo. Both ways start with nothing warm; the cohort also checks
every mask and writes its report, which the loop does not. Masks are compared at the end.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common.cohort.containers import command

ROOT = Path(__file__).parents[1]
MODEL = "build/{}/model"


def petct(*arguments: str) -> None:
    """Run a command of petct's; a cohort with a healthy patient ends well, too."""
    subprocess.run([sys.executable, "-m", "common.cli.main", *arguments], check=True, cwd=ROOT)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=6)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--shape", nargs=3, default=["168", "96", "112"])
    parser.add_argument("--algorithm", default="autopet_interactive")
    parser.add_argument("--version", default="0.1.0")
    arguments = parser.parse_args()
    name, model = arguments.algorithm, ROOT / MODEL.format(arguments.algorithm)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        petct("phantom", "--output", scratch, "--cohort", str(arguments.cases), "--shape", *arguments.shape)
        cases = sorted(path for path in folder.glob("phantom_*"))
        start = time.monotonic()
        for case in cases:
            output = folder / "loop" / case.name
            output.mkdir(parents=True)
            words = command("docker", f"{name}:{arguments.version}", case, model, output)
            subprocess.run(words, check=True, capture_output=True)
        loop = time.monotonic() - start
        start = time.monotonic()
        where = ["--model", str(model), "--output", str(folder / "cohort")]
        petct("cohort", scratch, "--algorithm", name, *where, "--jobs", str(arguments.jobs))
        cohort = time.monotonic() - start
        for case in cases:
            (mask,) = (folder / "loop" / case.name).rglob("*.mha")
            (other,) = (folder / "cohort" / case.name / "output").rglob("*.mha")
            assert mask.read_bytes() == other.read_bytes(), case.name
    per_hour = [3600 * len(cases) / seconds for seconds in (loop, cohort)]
    print(
        f"{len(cases)} cases: a loop over docker run {loop:.1f} s ({per_hour[0]:.0f} an hour), petct cohort "
        f"{cohort:.1f} s ({per_hour[1]:.0f} an hour): {loop / cohort:.2f} times as many"
    )


if __name__ == "__main__":
    main()
