import resource
import subprocess
import sys

import pytest

from common.errors import MachineError
from common.memory import GIB, available_memory, peak_memory, require_memory


def test_more_than_the_machine_has_is_refused_with_both_numbers():
    with pytest.raises(
        MachineError, match=r"prediction needs about 1000000\.00 GiB of memory, .* GiB are free"
    ):
        require_memory(10**6 * GIB, "prediction")


def test_little_memory_is_granted():
    require_memory(2**20, "prediction")


def test_limit_on_the_data_segment_counts():
    limit = 3 * GIB
    code = "from common.memory import available_memory; print(available_memory())"
    left = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
        capture_output=True,
        check=True,
    )
    assert 0 < int(left.stdout) < limit


def test_available_memory_shrinks_by_what_is_held():
    before = available_memory()
    held = bytearray(b"x") * (GIB // 2)
    assert before - available_memory() > len(held) // 2


def test_peak_memory_covers_what_was_held():
    held = bytearray(b"x") * (GIB // 4)
    assert peak_memory() > len(held)
