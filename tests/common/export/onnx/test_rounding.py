from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from common.export.onnx.half import to_float16
from common.export.onnx.rounding import simulated
from common.inference.engines import EngineName
from common.inference.engines.ladder import make_engine

SHAPE = (1, 1, 64, 64, 64)


def doubling() -> ir.Model:
    """A network that gives its input plus nothing."""
    tiles = ir.val("tiles", ir.DataType.FLOAT, SHAPE)
    zero = ir.val("zero", const_value=ir.tensor(np.zeros((), np.float32), name="zero"))
    node = ir.node("Add", [tiles, zero])
    (logits,) = node.outputs
    logits.name, logits.dtype, logits.shape = "logits", ir.DataType.FLOAT, ir.Shape(SHAPE)
    graph = ir.Graph([tiles], [logits], nodes=[node], initializers=[zero], opset_imports={"": 18}, name="sum")
    return ir.Model(graph, ir_version=10)


def numbers() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Random ones of all sizes, and all that lie between two of float16, with their neighbours."""
    random = np.random.default_rng(0)
    found = random.standard_normal(SHAPE, np.float32).ravel()
    found *= np.float32(2) ** random.integers(-28, 18, found.size).astype(np.float32)
    halves = np.arange(0x7BFF, dtype=np.uint16).view(np.float16).astype(np.float32)
    between = (halves[:-1] + halves[1:]) / 2
    for place, direction in enumerate((0, np.inf)):
        found[place * between.size : (place + 1) * between.size] = np.nextafter(
            between, np.float32(direction)
        )
    found[2 * between.size : 3 * between.size] = -between
    found[-2:] = 65519.99, 65520
    return found.reshape(SHAPE)


@pytest.mark.parametrize("engine", ["cpu", "openvino"])
def test_every_cpu_engine_rounds_as_float16_does(engine: EngineName, tmp_path: Path) -> None:
    path = tmp_path / "rounding.onnx"
    ir.save(simulated(to_float16(doubling())), path)
    with np.errstate(over="ignore"):
        expected = numbers().astype(np.float16).astype(np.float32)
    assert np.isinf(expected).any()
    np.testing.assert_array_equal(make_engine(path, engine=engine).run(numbers()), expected)


def test_nothing_of_float16_is_left(exported_network: Path) -> None:
    graph = simulated(to_float16(ir.load(exported_network))).graph
    values = [value for node in graph for value in node.outputs] + list(graph.initializers.values())
    assert ir.DataType.FLOAT16 not in {value.dtype for value in values}
