from pathlib import Path

import numpy as np
import pytest

from common.errors import MachineError
from common.export.onnx.measure import tile_memory
from tests.support.onnx_files import save_widening

MIB = 2**20


def test_memory_grows_with_what_a_tile_needs(tmp_path: Path) -> None:
    small = tile_memory(save_widening(tmp_path / "small.onnx", 2, 64), (1, 64, 64, 64))
    large = tile_memory(save_widening(tmp_path / "large.onnx", 258, 64), (1, 64, 64, 64))
    assert 0 < small < 200 * MIB
    assert large - small > 250 * MIB  # 256 more channels of 1 MiB


def test_this_process_does_not_count(tmp_path: Path) -> None:
    ballast = np.ones(64 * MIB)
    assert tile_memory(save_widening(tmp_path / "a.onnx", 2, 16), (1, 16, 16, 16)) < ballast.nbytes


def test_a_run_that_fails_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"a.onnx: a tile of shape \(9, 16, 16, 16\) fails") as caught:
        tile_memory(save_widening(tmp_path / "a.onnx", 2, 16), (9, 16, 16, 16))
    assert "\n" not in str(caught.value)
