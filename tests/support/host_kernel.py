"""The deformable convolution's kernel on the CPU, compiled by the machine's C++ compiler."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest

# Without fused multiply-adds, so that float32 rounds as in the reference.
OPTIONS = ("-std=c++17", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")


def compile_host_kernel(folder: Path) -> ctypes.CDLL:
    """Skips the test where there is no C++ compiler, but not where `CI` is set."""
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        if os.environ.get("CI"):
            pytest.fail("no C++ compiler")
        pytest.skip("no C++ compiler; install g++ to test the kernel on the CPU")
    library = folder / "deform_im2col3d.so"
    with as_file(files("common.export.tensorrt") / "kernels") as kernels:
        subprocess.run([compiler, *OPTIONS, "-o", library, kernels / "deform_im2col3d.cpp"], check=True)
    return ctypes.CDLL(str(library))


class HostLauncher:
    """Starts kernels as a GPU would, with host addresses, at once; keeps what it was asked."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self.images: list[bytes] = []
        self.streams: list[int] = []
        self.kernels: list[Any] = []

    def load_kernel(self, image: bytes, name: str) -> int:
        self.images.append(image)
        self.kernels.append(getattr(self._library, name))
        return len(self.kernels) - 1

    def launch(
        self,
        kernel: int,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Any],
        stream: int,
    ) -> None:
        assert grid[1:] == block[1:] == (1, 1)
        self.streams.append(stream)
        *pointers, geometry = arguments
        sizes = ctypes.c_uint(grid[0]), ctypes.c_uint(block[0])
        self.kernels[kernel](*pointers, ctypes.byref(geometry), *sizes)
