from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import MachineError
from common.inference.engines import machine, report, tensorrt
from common.inference.engines.carriers import LIBRARIES
from common.inference.engines.report import describe_fitting, describe_machine, describe_rungs, describe_trial
from common.inference.files import NetworkFiles
from tests.support.compiled_networks import compiled_network
from tests.support.gpu_double import T4
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
        "CUDA",
        "package tensorrt-rtx-cu12-bindings",
        "package tensorrt-rtx-cu12-libs",
        "package tensorrt",
        "package cuda-bindings",
        "package onnxruntime-gpu",
        "package openvino",
        "package onnxruntime",
    ]
    assert lines[2] == "GPU: Tesla T4"
    assert "not installed" not in lines[-1]


def test_the_gpu_is_described_and_the_engine_that_fits_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = compiled_network(tmp_path, target="8.0+")
    files = network.files(network.folds[0])
    monkeypatch.setattr(tensorrt, "missing", lambda precision: None)
    monkeypatch.setattr(report, "installed_libraries", lambda: [LIBRARIES[0]])
    monkeypatch.setattr(report, "find_gpu", lambda: T4)
    assert "CUDA: Pretended T4, compute capability 7.5, 16.0 GiB, driver for CUDA 12.9" in describe_machine()
    assert "the engines are for compute capability 8.0+, Pretended T4 has 7.5" in describe_fitting(files)
    monkeypatch.setattr(report, "find_gpu", lambda: replace(T4, capability=(8, 6)))
    assert describe_fitting(files) == "fold_0.engine: fits the GPU"


def test_without_a_gpu_the_reason_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt, "missing", lambda precision: "no GPU")
    network = compiled_network(tmp_path)
    assert "CUDA: no GPU" in describe_machine()
    found = describe_fitting(network.files(network.folds[0]))
    assert found == "fold_0.onnx: no compiled engine is used: no GPU"


def test_every_rung_is_there_or_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "instruction_sets", lambda: ("avx2",))
    monkeypatch.setattr(machine, "gpus", lambda: ())
    lines = dict(line.split(": ", 1) for line in describe_rungs("auto", "bfloat16"))
    assert "has no instructions for bfloat16" in lines["engine openvino in bfloat16"]
    assert lines["engine openvino in float32"] == lines["engine cpu in float32"] == "there"


def test_the_rung_that_a_model_gets_is_the_one_that_computed_a_tile(tmp_path: Path) -> None:
    files = NetworkFiles(save_widening(tmp_path / "network.onnx", 2, 8))
    assert describe_trial(files, "cpu", "float32").startswith("network.onnx: engine: cpu, device: ")
    with pytest.raises(MachineError):
        describe_trial(files, "cpu", "bfloat16")
