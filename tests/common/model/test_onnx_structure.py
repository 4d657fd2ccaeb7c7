import time
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from common.model.onnx_structure import check_structure
from tests.fuzz.readers import network


def refusal(path: Path) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        check_structure(path)
    return str(caught.value)


def external(tensor: onnx.TensorProto) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def subgraph(model: onnx.ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("If", ["a"], ["b"], then_branch=body, else_branch=body))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda model: external(model.graph.initializer[0]), "weights in another file"),
        (lambda model: external(model.graph.node[1].attribute[0].t), "weights in another file"),
        (
            lambda model: model.graph.initializer[0].external_data.add(key="location", value="x"),
            "another file",
        ),
        (
            lambda model: setattr(model.graph.node[0], "domain", "com.microsoft"),
            "operators of another domain",
        ),
        (lambda model: setattr(model.graph.node[0], "domain", "org.openvinotoolkit"), "another domain"),
        (lambda model: model.opset_import.append(helper.make_opsetid("evil", 1)), "another domain"),
        (lambda model: model.functions.add(name="f", domain="d"), "functions"),
        (lambda model: model.training_info.add(), "a graph for training"),
        (lambda model: model.graph.sparse_initializer.add(), "sparse weights"),
        (subgraph, "a graph inside an operator"),
    ],
)
def test_what_reaches_outside_the_file_is_refused(
    tmp_path: Path, change: Callable[[onnx.ModelProto], object], found: str
) -> None:
    model, path = network(), tmp_path / "network.onnx"
    path.write_bytes(model.SerializeToString())
    check_structure(path)
    change(model)
    path.write_bytes(model.SerializeToString())
    assert found in refusal(path)


def test_the_default_domain_may_be_named(tmp_path: Path) -> None:
    model, path = network(), tmp_path / "network.onnx"
    model.graph.node[0].domain = "ai.onnx"
    path.write_bytes(model.SerializeToString())
    check_structure(path)


@pytest.mark.parametrize(
    "content", [b"", b"<net name='x'>", b"\x3a\xff\x01", b"\x08" + b"\xff" * 11, b"\x00\x00"]
)
def test_what_is_no_whole_message_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(content)
    assert "file" in refusal(path)


@pytest.mark.parametrize("name", ["network.xml", "network.ort", "network.pb", "network"])
def test_another_suffix_is_refused_as_runtimes_go_by_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(network().SerializeToString())
    assert "named otherwise than *.onnx" in refusal(path)


def test_weights_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    tensor = b"\x4a" + varint(2**30)  # raw data
    graph = b"\x2a" + varint(len(tensor) + 2**30) + tensor
    with path.open("wb") as file:
        file.write(b"\x3a" + varint(len(graph) + 2**30) + graph)
        file.truncate(file.tell() + 2**30)
    started = time.perf_counter()
    check_structure(path)
    assert time.perf_counter() - started < 1


def test_more_entries_than_any_network_has_are_refused_in_time(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(b"\x08\x0a" * 10**7)
    started = time.perf_counter()
    assert "more than 1000000 entries" in refusal(path)
    assert time.perf_counter() - started < 10


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
