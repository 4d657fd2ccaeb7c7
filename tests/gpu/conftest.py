"""Demo models with engines for the GPU at hand; these tests run by tests/gpu/run.sh alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from common import algorithms
from common.cli.main import main
from common.inference.engines.cuda import CudaGpu, open_gpu
from common.model.model import Model
from common.model.reading import read_model
from tests.support.platform import REPOSITORY


@pytest.fixture(scope="session")
def gpu() -> Iterator[CudaGpu]:
    opened = open_gpu()
    yield opened
    opened.close()


@pytest.fixture(scope="session", params=algorithms.names())
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A demo's model with engines; not to be changed."""
    return export_demo(request.param, tmp_path_factory.mktemp(request.param))


def export_demo(algorithm: str, folder: Path, *options: str) -> Model:
    checkpoint = REPOSITORY / "containers" / algorithm / "demo" / "checkpoint"
    command = ["export", algorithm, "--checkpoint", str(checkpoint), "--model", str(folder / "model")]
    assert main([*command, "--tensorrt", *options]) == 0
    return read_model(folder / "model", algorithm)
