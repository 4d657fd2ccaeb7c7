from pathlib import Path

import pytest

from common.errors import MachineError
from common.inference.engines import machine
from common.inference.engines.report import describe_machine, describe_rungs, describe_trial
from tests.support.onnx_files import save_widening


def test_machine_is_described_by_processor_gpu_driver_and_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: ("Tesla T4",))
    lines = list(describe_machine())
    names = [line.partition(": ")[0] for line in lines]
    assert names == [
        "CPU",
        "instruction sets",
        "GPU",
        "driver",
        "package onnxruntime-gpu",
        "package openvino",
        "package onnxruntime",
    ]
    assert lines[2] == "GPU: Tesla T4"
    assert "not installed" not in lines[-1]


def test_every_rung_is_there_or_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "instruction_sets", lambda: ("avx2",))
    monkeypatch.setattr(machine, "gpus", lambda: ())
    lines = dict(line.split(": ", 1) for line in describe_rungs("auto", "bfloat16"))
    assert "has no instructions for bfloat16" in lines["engine openvino in bfloat16"]
    assert lines["engine openvino in float32"] == lines["engine cpu in float32"] == "there"


def test_the_rung_that_a_model_gets_is_the_one_that_computed_a_tile(tmp_path: Path) -> None:
    path = save_widening(tmp_path / "network.onnx", 2, 8)
    assert describe_trial(path, "cpu", "float32").startswith("network.onnx: engine: cpu, device: ")
    with pytest.raises(MachineError):
        describe_trial(path, "cpu", "bfloat16")
