from pathlib import Path

import pytest

from common.cohort.containers import command, run_in_container
from common.errors import MachineError
from tests.support.platform import refused


@pytest.mark.parametrize("engine", ["docker", "apptainer"])
def test_a_container_has_no_network_and_may_write_its_output_alone(engine: str, tmp_path: Path) -> None:
    words = " ".join(command(engine, "image", tmp_path / "a", tmp_path / "m", tmp_path))
    assert words.startswith(engine)
    assert words.endswith(" image")
    assert "none" in words
    for path, inside in (
        (tmp_path / "a", "/input:ro"),
        (tmp_path / "m", "/opt/ml/model:ro"),
        (tmp_path, "/output:rw"),
    ):
        assert f"{path}:{inside}" in words


def test_the_last_line_of_a_container_that_fails_is_the_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\necho warning >&2\necho error: no PET >&2\nexit 2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with refused("image ended with exit code 2: error: no PET", error=MachineError):
        run_in_container("docker", "image", tmp_path, tmp_path, tmp_path)
    with refused("apptainer cannot be started", error=MachineError):
        run_in_container("apptainer", "image", tmp_path, tmp_path, tmp_path)
