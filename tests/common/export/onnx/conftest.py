from pathlib import Path

import pytest

from tests.support.networks import NETWORKS, write_network


@pytest.fixture(scope="session", params=list(NETWORKS))
def exported_network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ONNX file of each architecture; not to be changed."""
    path = tmp_path_factory.mktemp("networks") / f"{request.param}.onnx"
    write_network(request.param, path)
    return path
