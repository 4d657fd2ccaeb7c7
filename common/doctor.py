"""Whether a machine can do what the README's two commands do, and what to install where it cannot.

It runs before anything is built: `python3 -m common.doctor` in a fresh checkout needs no package.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

Level = Literal["ok", "note", "missing"]

GB = 10**9
GIB = 2**30
PYTHON = (3, 11)
DISK = {"docker": 16 * GB, "venv": 7 * GB}
"""Free bytes that a first build takes: images, layers and models; or packages and models alone."""
MEMORY = 4 * GIB
"""What the demos' export and runs take."""
MEMORY_TO_EXPORT = 6 * GIB
"""What the export of a network of 100 million parameters takes."""
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "openvino": ("openvino",),
    "export": ("torch", "onnx", "onnxscript"),
    "evaluate": ("grand-challenge-metrics",),
    "serve": ("starlette", "uvicorn"),
    "report": ("jinja2", "matplotlib"),
    "dicom": ("pydicom", "highdicom", "pylibjpeg"),
    "cohort": ("snakemake",),
}
"""Packages by the name of petct's extra."""
PROGRAMS: Mapping[str, tuple[str, str]] = {
    "c++": ("some tests", "g++"),
    "chromium": ("tests of pages", "chromium"),
    "dciodvfy": ("tests of DICOM", "dicom3tools"),
    "npm": ("the page of petct view", "npm"),
}
"""What wants a program, and Debian's package of it."""
BASE_IMAGE = "python:3.11-slim-bookworm"


@dataclass(frozen=True)
class Finding:
    """One line."""

    level: Level
    subject: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.level:8}{self.subject}: {self.found}" + (f"; {self.remedy}" if self.remedy else "")


def examine(folder: Path) -> list[Finding]:
    """Look at this machine, for a checkout in `folder`."""
    has_docker = _answers("docker", "version")
    return [
        processor(platform.machine(), Path("/proc/cpuinfo")),
        memory(Path("/proc/meminfo")),
        disk(shutil.disk_usage(folder).free, has_docker=has_docker),
        docker(has_docker=has_docker, is_installed=shutil.which("docker") is not None),
        *(base_image() if has_docker else ()),
        interpreter(sys.version_info[:2]),
        gpu(Path("/dev/nvidiactl").exists()),
        *programs(),
        *extras(),
    ]


def processor(machine: str, information: Path) -> Finding:
    """x86-64, which the images are for; with AVX2 it is fast."""
    cores = len(os.sched_getaffinity(0))
    if machine != "x86_64":
        return Finding("missing", "processor", machine, "the images are for x86-64: use such a machine")
    flags = information.read_text().partition("\nflags")[2].partition("\n")[0].split()
    sets = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    found = f"{machine}, {cores} cores, {', '.join(sets) or 'no AVX2'}"
    return Finding("ok", "processor", found) if sets else Finding("note", "processor", found, "runs are slow")


def memory(information: Path) -> Finding:
    """What is available, in the kernel's words."""
    fields = dict(line.split(":") for line in information.read_text().splitlines() if ":" in line)
    left = int(fields["MemAvailable"].split()[0]) * 1024
    found = f"{left / GIB:.1f} GiB are free"
    if left < MEMORY:
        return Finding("missing", "memory", found, f"{MEMORY / GIB:.0f} GiB are needed: end other programs")
    if left < MEMORY_TO_EXPORT:
        return Finding(
            "note", "memory", found, f"exports of the largest networks take {MEMORY_TO_EXPORT / GIB:.0f}"
        )
    return Finding("ok", "memory", found)


def disk(free: int, *, has_docker: bool) -> Finding:
    """Where the checkout lies."""
    needed = DISK["docker" if has_docker else "venv"]
    found = f"{free / GB:.0f} GB are free"
    if free < needed:
        return Finding("missing", "disk", found, f"a first build takes {needed / GB:.0f} GB: make room")
    return Finding("ok", "disk", found)


def docker(*, has_docker: bool, is_installed: bool) -> Finding:
    """An engine that answers; without one, everything but the images works."""
    if has_docker:
        return Finding("ok", "Docker", "an engine answers")
    found = "installed, but no engine answers" if is_installed else "not installed"
    remedy = "start it (sudo systemctl start docker)" if is_installed else "sudo apt-get install docker.io"
    return Finding("note", "Docker", found, f"algorithms run as plain processes; for images: {remedy}")


def base_image() -> Iterator[Finding]:
    """What images stand on: there, or bootstrapped from Debian's packages where it cannot be pulled."""
    if _answers("docker", "image", "inspect", BASE_IMAGE):
        yield Finding("ok", "base image", BASE_IMAGE)
    elif shutil.which("mmdebstrap"):
        yield Finding("ok", "base image", "pulled at the first build, or made by mmdebstrap")
    else:
        remedy = "where no registry is reached: sudo apt-get install mmdebstrap"
        yield Finding("note", "base image", "pulled at the first build", remedy)


def interpreter(found: tuple[int, ...]) -> Finding:
    """Python for `.venv`, which tests need, with Docker, too."""
    name = ".".join(map(str, found))
    if found < PYTHON:
        remedy = f"install {'.'.join(map(str, PYTHON))} or later, and name it: PYTHON=/path/to/python3"
        return Finding("missing", "Python", name, remedy)
    if not _answers(sys.executable, "-c", "import ensurepip, venv"):
        return Finding("missing", "Python", f"{name} without venv", "sudo apt-get install python3-venv")
    return Finding("ok", "Python", name)


def gpu(has_driver: bool) -> Finding:
    """NVIDIA's driver; nothing here needs one."""
    if not has_driver:
        return Finding("note", "GPU", "no NVIDIA driver", "runs compute on the processor")
    return Finding("ok", "GPU", "NVIDIA's driver is there")


def programs() -> Iterator[Finding]:
    """What some tests and pages want."""
    for name, (wanted_by, package) in PROGRAMS.items():
        if shutil.which(name):
            yield Finding("ok", name, "there")
        else:
            yield Finding(
                "note", name, f"not there, which {wanted_by} want", f"sudo apt-get install {package}"
            )


def extras() -> Iterator[Finding]:
    """Which of petct's extras this interpreter has."""
    for extra, packages in EXTRAS.items():
        missing = [package for package in packages if not _is_installed(package)]
        if missing:
            remedy = f"./build.sh makes .venv, or pip install '.[{extra}]'"
            yield Finding("note", f"extra {extra}", f"{', '.join(missing)} not in this Python", remedy)
        else:
            yield Finding("ok", f"extra {extra}", "there")


def is_fit(findings: list[Finding]) -> bool:
    """Whether nothing is missing that the two commands need."""
    return all(finding.level != "missing" for finding in findings)


def main() -> int:
    """Print every finding; returns 0 where the two commands will work, else 4."""
    findings = examine(Path.cwd())
    sys.stdout.write("".join(f"{finding}\n" for finding in findings))
    return 0 if is_fit(findings) else 4


def _answers(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _is_installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


if __name__ == "__main__":
    sys.exit(main())
