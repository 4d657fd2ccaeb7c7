"""One case in a container of the algorithm's image, by Docker or Apptainer."""

import subprocess
from pathlib import Path
from typing import Literal

from common.errors import MachineError

Engine = Literal["docker", "apptainer"]
ENGINES: tuple[Engine, ...] = ("docker", "apptainer")


def run_in_container(engine: str, image: str, source: Path, model: Path, output: Path) -> None:
    """Run an image of the kind `exec`; `MachineError` has the last line of stderr where that fails."""
    try:
        ended = subprocess.run(
            command(engine, image, source, model, output), capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise MachineError(
            f"{engine} cannot be started ({error}); install it, or leave --container out"
        ) from error
    if ended.returncode != 0:
        lines = [line for line in ended.stderr.splitlines() if line.strip()] or ["nothing on stderr"]
        raise MachineError(f"{image} ended with exit code {ended.returncode}: {lines[-1]}")


def command(engine: str, image: str, source: Path, model: Path, output: Path) -> list[str]:
    """The engine's command: no network, input and model read-only, the calling user's files."""
    mounts = [(source, "/input", "ro"), (model, "/opt/ml/model", "ro"), (output, "/output", "rw")]
    binds = [f"{path.resolve()}:{inside}:{mode}" for path, inside, mode in mounts]
    if engine == "docker":
        owner = output.stat()
        options = ["--rm", "--network", "none", "--user", f"{owner.st_uid}:{owner.st_gid}"]
        return ["docker", "run", *options, *(f"--volume={bind}" for bind in binds), image]
    return [
        "apptainer",
        "run",
        "--containall",
        "--net",
        "--network=none",
        *(f"--bind={bind}" for bind in binds),
        image,
    ]
