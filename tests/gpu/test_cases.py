"""Whole cases on the GPU: the CPU's mask, and a mask when the GPU's memory is short."""

import logging
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from common.cli.main import main
from common.evaluation.metrics import compare
from common.inference.engines.cuda import CudaGpu
from tests.gpu.conftest import export_demo

ALGORITHM = "autopet_interactive"
MIN_DICE = 0.99
KEPT = 64 * 2**20
"""Bytes of GPU memory that are left free when it is to be short."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom in `input`, a demo's model in `model`."""
    folder = tmp_path_factory.mktemp("case")
    assert main(["phantom", "--output", str(folder)]) == 0
    export_demo(ALGORITHM, folder)
    return folder


def test_the_mask_is_the_cpus(folder: Path) -> None:
    on_gpu, on_cpu = (segment(folder, engine, "--engine", engine) for engine in ("tensorrt", "openvino"))
    assert on_cpu.any()
    assert compare(on_cpu, on_gpu, 1.0).dice >= MIN_DICE


def test_memory_that_is_short_from_the_start_ends_in_the_cpus_mask(
    folder: Path, gpu: CudaGpu, caplog: pytest.LogCaptureFixture
) -> None:
    taken = gpu.allocate(gpu.free_memory() - KEPT)
    try:
        with caplog.at_level(logging.WARNING):
            mask = segment(folder, "short")
    finally:
        gpu.free(taken)
    assert "memory" in caplog.text
    np.testing.assert_array_equal(mask, segment(folder, "openvino", "--engine", "openvino"))


def segment(folder: Path, name: str, *options: str) -> NDArray[np.bool_]:
    output = folder / f"output_{name}"
    if not output.exists():
        paths = ["--input", str(folder / "input"), "--model", str(folder / "model"), "--output", str(output)]
        assert main(["run", ALGORITHM, *paths, *options]) == 0
    (mask,) = output.rglob("*.mha")
    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(mask)) != 0
