from collections.abc import Iterator
from pathlib import Path

import pytest

from containers.autopet_interactive.export import export
from tests.support.golden_cases import write_autopet_checkpoint
from tests.support.logs import own_logging


@pytest.fixture(autouse=True)
def each_with_its_own_logging() -> Iterator[None]:
    """As it was before the test; a fixture of a wider scope that calls the command sees to it itself."""
    with own_logging():
        yield


@pytest.fixture(scope="session")
def golden_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden autoPET-interactive case as a folder that nnU-Net v2 trained; not to be changed."""
    return write_autopet_checkpoint(tmp_path_factory.mktemp("golden") / "checkpoint")


@pytest.fixture(scope="session")
def golden_model(golden_checkpoint: Path) -> Path:
    """The model folder exported from `golden_checkpoint`; not to be changed."""
    folder = golden_checkpoint.parent / "model"
    export(golden_checkpoint, folder)
    return folder
