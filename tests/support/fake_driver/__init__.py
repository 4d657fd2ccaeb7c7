"""NVIDIA's driver without a GPU: a library, compiled when a test needs it, and a process that loads it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("libcuda.c")
REPOSITORY = Path(__file__).resolve().parents[3]


def compile_driver(folder: Path, *definitions: str) -> Path:
    """Compile `libcuda.so.1` into a folder, which is returned."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "no C compiler, expected cc or gcc: install one, as .ci/run does"
    options = ["-shared", "-fPIC", "-O1", *(f"-D{name}" for name in definitions)]
    command = [compiler, *options, "-o", str(folder / "libcuda.so.1"), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return folder


def run_with_driver(
    script: str, *arguments: object, driver: Path | None, **settings: object
) -> subprocess.CompletedProcess[str]:
    """Run a script in a process that finds the driver, if any; `settings` are its FAKE_CUDA_…"""
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    environment["PYTHONPATH"] = str(REPOSITORY)
    if driver:
        environment["LD_LIBRARY_PATH"] = str(driver)
    environment |= {f"FAKE_CUDA_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, timeout=120, check=False, capture_output=True, text=True, env=environment)
