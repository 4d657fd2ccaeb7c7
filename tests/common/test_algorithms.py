"""What an algorithm is, and that every one keeps its contract."""

import subprocess
from pathlib import Path

import pytest
from mypy import api

from common import algorithms
from common.errors import InputError

ROOT = algorithms.FOLDER.parent


def contracts() -> str:
    """Python that type-checks only where every algorithm's modules are what the protocols ask for."""
    lines = ["from common.algorithms import Exporter, Segmenter"]
    for name in algorithms.names():
        lines += [f"import containers.{name}.algorithm", f"import containers.{name}.export"]
        lines += [f"segmenter_{name}: Segmenter = containers.{name}.algorithm"]
        lines += [f"exporter_{name}: Exporter = containers.{name}.export"]
    return "\n".join(lines) + "\n"


def check_types(text: str, folder: Path) -> tuple[str, int]:
    (folder / "contracts.py").write_text(text)
    configuration = ("--config-file", str(ROOT / "pyproject.toml"))
    output, _, status = api.run([*configuration, "--follow-imports=silent", str(folder / "contracts.py")])
    return output, status


def test_every_algorithm_keeps_its_contract(tmp_path: Path) -> None:
    output, status = check_types(contracts(), tmp_path)
    assert status == 0, output


def test_a_module_that_breaks_the_contract_is_found(tmp_path: Path) -> None:
    broken = (
        "from common.algorithms import Segmenter\nimport common.errors\nbroken: Segmenter = common.errors\n"
    )
    output, status = check_types(broken, tmp_path)
    assert status == 1
    assert "Segmenter" in output


def test_bash_finds_the_same_algorithms() -> None:
    script = f"source {ROOT}/docker/lib.sh && all_algorithms"
    found = subprocess.check_output(["bash", "-c", script], text=True).split()
    assert found == algorithms.names()


def test_a_folder_without_its_module_is_no_algorithm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "finished").mkdir()
    (tmp_path / "finished/algorithm.py").touch()
    (tmp_path / "begun").mkdir()
    monkeypatch.setattr(algorithms, "FOLDER", tmp_path)
    assert algorithms.names() == ["finished"]
    with pytest.raises(InputError, match="there is no algorithm 'begun'; choose one of"):
        algorithms.segmenter("begun")
