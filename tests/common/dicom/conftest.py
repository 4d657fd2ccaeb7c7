from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from common.demo.phantom.phantom import Phantom, make_phantom

Voxels = NDArray[Any]


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """Small, with three lesions."""
    return make_phantom(0, (90, 50, 56), (8.0, 8.0, 8.0))


@pytest.fixture(scope="session")
def suv() -> NDArray[np.float32]:
    """Noise from 0 to 20, (z, y, x)."""
    return np.random.default_rng(0).uniform(0, 20, (9, 6, 7)).astype(np.float32)


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., None]:
    """Change one file of a series: its attributes, or `None` to take them away."""
    import pydicom

    def edit(path: Path, **attributes: Any) -> None:
        header = pydicom.dcmread(path)
        for name, value in attributes.items():
            if value is None:
                delattr(header, name)
            else:
                setattr(header, name, value)
        header.save_as(path)

    return edit
