from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch

from common.export.onnx.channels import WIDTH, dense, in_whole_widths
from common.inference.engines.ladder import make_cpu_engine


def test_the_arranged_network_gives_the_same_logits(exported_network: Path, tmp_path: Path) -> None:
    plain = make_cpu_engine(exported_network)
    ir.save(in_whole_widths(ir.load(exported_network)), tmp_path / "arranged.onnx")
    tile = np.random.default_rng(0).standard_normal(plain.tile_shape, np.float32)
    expected, found = plain.run(tile), make_cpu_engine(tmp_path / "arranged.onnx").run(tile)
    assert np.sqrt(np.mean((found - expected) ** 2)) <= 1e-5 * expected.std()


def test_no_convolution_is_left_that_tensorrt_would_pad(exported_network: Path) -> None:
    model = in_whole_widths(ir.load(exported_network))
    weights = [node.inputs[1] for node in model.graph if node.op_type == "Conv"]
    assert weights
    for weight in weights:
        assert weight is not None
        assert weight.shape is not None
        assert weight.shape.numpy()[1] % WIDTH == 0


def test_the_given_network_stays_as_it_is(exported_network: Path) -> None:
    model = ir.load(exported_network)
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    in_whole_widths(model)
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before


def test_dense_weights_compute_what_those_of_groups_do() -> None:
    weight = torch.randn(12, 2, 3, 3, 3)
    features = torch.randn(1, 8, 5, 6, 7)
    expected = torch.nn.functional.conv3d(features, weight, groups=4)
    found = torch.nn.functional.conv3d(features, torch.from_numpy(dense(weight.numpy(), 4)))
    torch.testing.assert_close(found, expected)
