"""Containers under the platform's restrictions that stay from call to call."""

import shutil
import subprocess
import time
from pathlib import Path
from typing import Self

TIMEOUT = 120.0
LOGGED_WITHIN = 60.0
MEMORY = 7 * 1024**3
"""What the platform's smallest machine gives, in bytes."""

Ended = subprocess.CompletedProcess[str]


class Serving:
    """A container that waits for calls; its input folder is empty at first."""

    def __init__(self, image: str, model: Path, input_dir: Path) -> None:
        self.input = input_dir
        self.input.mkdir()
        options = ["--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        options += ["--read-only", "--tmpfs=/tmp", "--volume", "/output", "--pids-limit", "256"]
        options += ["--memory", str(MEMORY), "--memory-swap", str(MEMORY), "--ulimit", f"data={MEMORY}"]
        options += ["--volume", f"{self.input}:/input:ro", "--volume", f"{model}:/opt/ml/model:ro"]
        self.id = docker("run", "--detach", *options, image).stdout.strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        docker("rm", "--force", "--volumes", self.id)

    def put(self, case: Path) -> None:
        """The case is what lies in the input folder, alone."""
        for path in self.input.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(case, self.input, dirs_exist_ok=True)

    def invoke(self) -> Ended:
        """The ended client, which keeps the platform's rules."""
        return docker("exec", self.id, "petct", "invoke", check=False)

    def wait_for(self, text: str) -> None:
        """Return when the log has it."""
        deadline = time.monotonic() + LOGGED_WITHIN
        while text not in self.logs().stdout:
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.1)

    def logs(self) -> Ended:
        """What was on stdout and stderr so far."""
        return docker("logs", self.id)

    def output(self, folder: Path) -> Path:
        """What lies in the output folder, copied."""
        docker("cp", f"{self.id}:/output/.", str(folder))
        return folder

    def stop(self) -> tuple[int, float]:
        """The exit code after SIGTERM, and the seconds until it was there."""
        start = time.monotonic()
        docker("kill", "--signal", "TERM", self.id)
        return int(docker("wait", self.id).stdout), time.monotonic() - start


def docker(*arguments: str, check: bool = True) -> Ended:
    command = ["docker", *arguments]
    return subprocess.run(command, check=check, capture_output=True, text=True, timeout=TIMEOUT)
