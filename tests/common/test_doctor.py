import os
import subprocess
import sys
from pathlib import Path

import pytest

from common import doctor
from common.cli.main import main
from common.doctor import GB, GIB, Finding, is_fit
from tests.support.platform import REPOSITORY


def test_it_runs_on_the_standard_library_alone(tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); from common.doctor import main; main()"
    command = [sys.executable, "-I", "-S", "-c", code]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert not ended.stderr
    subjects = [line[8:].partition(":")[0] for line in ended.stdout.splitlines()]
    assert subjects[:4] == ["processor", "memory", "disk", "Docker"]


@pytest.mark.parametrize(
    ("machine", "flags", "level"),
    [("x86_64", "fpu avx2 amx_bf16", "ok"), ("x86_64", "fpu sse4_1", "note"), ("aarch64", "", "missing")],
)
def test_the_processor_must_be_of_the_images_kind(
    machine: str, flags: str, level: str, tmp_path: Path
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t:\n")
    assert doctor.processor(machine, tmp_path / "cpuinfo").level == level


@pytest.mark.parametrize(("gib", "level"), [(3, "missing"), (5, "note"), (8, "ok")])
def test_memory_is_what_is_available(gib: int, level: str, tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text(
        f"MemTotal: {99 * GIB // 1024} kB\nMemAvailable: {gib * GIB // 1024} kB\n"
    )
    found = doctor.memory(tmp_path / "meminfo")
    assert found.level == level
    assert f"{gib}.0 GiB are free" in found.found


def test_images_take_more_of_a_disk(tmp_path: Path) -> None:
    assert doctor.disk(10 * GB, has_docker=False).level == "ok"
    assert doctor.disk(10 * GB, has_docker=True).level == "missing"
    assert doctor.disk(GB, has_docker=False).level == "missing"


def test_without_docker_it_says_how_to_get_or_start_it() -> None:
    assert "apt-get install docker.io" in doctor.docker(has_docker=False, is_installed=False).remedy
    assert "systemctl start docker" in doctor.docker(has_docker=False, is_installed=True).remedy
    assert doctor.docker(has_docker=True, is_installed=True).level == "ok"


def test_an_old_python_is_missing_and_this_one_is_not() -> None:
    assert doctor.interpreter((3, 9)).level == "missing"
    assert doctor.interpreter(sys.version_info[:2]).level == "ok"


def test_programs_that_are_not_on_the_path_are_notes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = {finding.subject: finding for finding in doctor.programs()}
    assert {finding.level for finding in found.values()} == {"note"}
    assert "apt-get install chromium" in found["chromium"].remedy
    (tmp_path / "chromium").write_text("#!/bin/sh\n")
    (tmp_path / "chromium").chmod(0o755)
    assert {finding.subject: finding.level for finding in doctor.programs()}["chromium"] == "ok"


def test_a_package_that_is_not_there_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "EXTRAS", {"some": ("numpy", "no-such-package"), "other": ("numpy",)})
    some, other = doctor.extras()
    assert (some.level, other.level) == ("note", "ok")
    assert some.found == "no-such-package not in this Python"


def test_only_what_is_missing_makes_a_machine_unfit() -> None:
    assert is_fit([Finding("ok", "a", "b"), Finding("note", "c", "d")])
    assert not is_fit([Finding("ok", "a", "b"), Finding("missing", "c", "d")])


def test_the_command_prints_findings_and_its_exit_code_says_whether_all_will_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "MEMORY", 0)
    monkeypatch.setattr(doctor, "DISK", {"docker": 0, "venv": 0})
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert f"{len(os.sched_getaffinity(0))} cores" in out
    monkeypatch.setattr(doctor, "MEMORY", 1 << 60)
    assert main(["doctor"]) == 4
    assert "will not work here: memory" in capsys.readouterr().err
