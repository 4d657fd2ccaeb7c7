"""A case, and a desk to work on it."""

import os
from pathlib import Path

import pytest

from common.demo.phantom.phantom import make_phantom
from common.demo.phantom.writing import write_phantom
from common.errors import MachineError
from common.viewer.assets import provide_niivue


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom without clicks; not to be changed."""
    folder = tmp_path_factory.mktemp("view")
    write_phantom(make_phantom(1, (20, 30, 32), (6.0, 4.0, 4.0)), folder / "input", folder / "truth.mha")
    (folder / "input/lesion-clicks.json").unlink()
    (folder / "input/inputs.json").unlink()
    return folder / "input"


@pytest.fixture(scope="session")
def niivue() -> None:
    """NiiVue, from npm; without, tests are skipped, but in CI they fail."""
    try:
        provide_niivue()
    except MachineError as error:
        (pytest.fail if "CI" in os.environ else pytest.skip)(f"skipped: {error}")
