"""Everything but the network at 326×400×400: both predict with one that hands two channels through.

python benchmarks/overhead.py
"""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from benchmarks.clinical import SHAPE
from benchmarks.paired import main
from benchmarks.scenario import PATCH, Mask, Scenario
from common.inference.engines.pool import EnginePool
from common.inference.options import Options
from common.model.reading import read_model
from common.model.writing import write_model

SCENARIO = Scenario("overhead", SHAPE, mirror_axes=())


def write() -> None:
    """Write the scenario, with a network of one slice in the model's place."""
    SCENARIO.write()
    folder = SCENARIO.folder / "model"
    model = read_model(folder, "autopet_interactive")
    path = model.networks[0].folds[0].path
    assert path
    onnx.save(first_two_channels(), path)
    write_model(folder, model)


def first_two_channels() -> onnx.ModelProto:
    """The network: its logits are its first two input channels."""
    bounds = [
        numpy_helper.from_array(np.array([value], np.int64), name)
        for name, value in (("first", 0), ("last", 2), ("axis", 1))
    ]
    node = helper.make_node("Slice", ["tiles", "first", "last", "axis"], ["logits"])
    tiles, logits = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, *PATCH])
        for name, channels in (("tiles", 4), ("logits", 2))
    )
    graph = helper.make_graph([node], "first_two_channels", [tiles], [logits], bounds)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def nnunet() -> Callable[[], Mask]:
    """nnU-Net with the same network."""
    from benchmarks.originals.nnunet_v2 import use_first_two_channels

    return SCENARIO.nnunet(use_first_two_channels)


if __name__ == "__main__":
    subjects = {"nnU-Net": nnunet, "petct": lambda: SCENARIO.petct(Options(EnginePool("cpu")))}
    main(__doc__, subjects, baseline="nnU-Net", runs=3, prepare=write)
