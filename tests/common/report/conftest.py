"""A phantom with its truth, and a mask that found the larger lesion and made one up."""

from pathlib import Path

import numpy as np
import pytest

from common.demo.phantom.phantom import make_phantom
from common.demo.phantom.writing import write_phantom
from common.grandchallenge.images import find_image, read_image
from tests.support.platform import save

FALSE = (slice(2, 5), slice(2, 5), slice(2, 5))
"""Where the mask's false lesion lies, (z, y, x)."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`input`, `truth.mha` and `mask.mha`; not to be changed."""
    folder = tmp_path_factory.mktemp("report")
    write_phantom(make_phantom(0, (90, 50, 56), (8.0, 8.0, 8.0)), folder / "input", folder / "truth.mha")
    truth = read_image(folder / "truth.mha")
    mask = truth.voxels > 0
    assert mask.any()
    mask[FALSE] = True
    save(folder / "mask.mha", mask.astype(np.uint8), truth.geometry)
    assert find_image(folder / "input/images/pet")
    return folder
