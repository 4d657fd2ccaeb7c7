import logging
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from common import memory
from common.errors import MachineError
from common.memory import (
    CONTROL_FILES,
    GIB,
    MARGIN,
    container_memory,
    peak_memory,
    require_memory,
)


def test_more_than_the_machine_has_is_refused_with_both_numbers():
    with pytest.raises(
        MachineError, match=r"prediction needs about 1000000\.00 GiB of memory, .* GiB are free"
    ):
        require_memory(10**6 * GIB, "prediction")


def test_little_memory_is_granted():
    require_memory(2**20, "prediction")


def test_memory_that_lacks_one_byte_is_refused_with_numbers_that_differ(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2 * GIB + MARGIN - 1)
    with pytest.raises(MachineError, match=r"needs about 2\.00 GiB of memory, 1\.99 GiB are free"):
        require_memory(2 * GIB, "prediction")


@pytest.mark.parametrize("left", [0, MARGIN - 1])
def test_less_than_the_margin_is_nothing_rather_than_below_zero(monkeypatch, left):
    monkeypatch.setattr(memory, "available_memory", lambda: left)
    with pytest.raises(MachineError, match=r"needs about 0\.01 GiB of memory, 0\.00 GiB are free"):
        require_memory(1, "prediction")


def test_memory_that_just_suffices_is_logged_with_both_numbers(monkeypatch, caplog):
    monkeypatch.setattr(memory, "available_memory", lambda: 2 * GIB + MARGIN)
    with caplog.at_level(logging.INFO):
        require_memory(2 * GIB, "prediction")
    assert caplog.messages == ["prediction needs about 2.00 GiB of memory, 2.00 GiB are free"]


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
    limit = GIB // 2  # of this process alone: what other processes take and give back does not show
    code = """
from common.memory import available_memory
before = available_memory()
held = bytearray(b"x") * (2**30 // 4)
print((before - available_memory()) / len(held))
"""
    process = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
        capture_output=True,
        check=True,
    )
    assert float(process.stdout) == pytest.approx(1, rel=0.05)


def test_peak_memory_covers_what_was_held():
    held = bytearray(b"x") * (GIB // 4)
    assert peak_memory() > len(held)


def control_group(folder: Path, limit: object, used: int, cache: int = 0, version: int = 2) -> None:
    """Lay out one control group as the kernel shows it."""
    folder.mkdir(parents=True, exist_ok=True)
    limit_file, usage_file, entry = CONTROL_FILES[version]
    (folder / limit_file).write_text(f"{limit}\n")
    (folder / usage_file).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon {used}\n{entry} {cache}\n")


def allowed(tmp_path: Path, membership: str) -> int | None:
    (tmp_path / "membership").write_text(membership)
    return container_memory(tmp_path / "membership", tmp_path / "root")


def test_tightest_control_group_on_the_way_up_counts(tmp_path):
    control_group(tmp_path / "root/user/job/step", "max", 100)
    control_group(tmp_path / "root/user/job", 900, 400, cache=50)
    control_group(tmp_path / "root/user", 5000, 1000)
    assert allowed(tmp_path, "0::/user/job/step\n") == 900 - 400 + 50


def test_control_groups_of_the_first_version_count(tmp_path):
    control_group(tmp_path / "root/memory/docker/id", 900, 400, cache=50, version=1)
    control_group(tmp_path / "root/memory/docker", 800, 500, version=1)
    assert allowed(tmp_path, "5:cpu:/docker/id\n4:memory:/docker/id\n0::/\n") == 300


@pytest.mark.parametrize("path", ["/", "/outside/of/the/container"])
def test_container_that_sees_its_group_as_the_root_is_limited(tmp_path, path):
    control_group(tmp_path / "root", 900, 400)
    assert allowed(tmp_path, f"0::{path}\n") == 500


def test_control_groups_without_a_limit_allow_everything(tmp_path):
    control_group(tmp_path / "root/user", "max", 100)
    assert allowed(tmp_path, "0::/user\n") is None


@pytest.mark.parametrize("file", ["memory.max", "memory.current", "memory.stat"])
def test_control_group_that_cannot_be_read_is_left_out(tmp_path, file):
    control_group(tmp_path / "root/user", 900, 400)
    (tmp_path / "root/user" / file).unlink()
    control_group(tmp_path / "root", 2000, 400)
    assert allowed(tmp_path, "0::/user\n") == 1600


def test_machine_without_control_groups_allows_everything(tmp_path):
    assert container_memory(tmp_path / "nothing", tmp_path) is None
