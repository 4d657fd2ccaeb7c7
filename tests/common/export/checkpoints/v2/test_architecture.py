from pathlib import Path
from typing import Any

import pytest
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet

from common.errors import ModelError
from common.export.checkpoints.v2.architecture import read_architecture
from tests.support.golden_cases import autopet_checkpoint, autopet_plans

SOURCE = Path("plans.json")

OLD_PLANS = {
    "UNet_class_name": "PlainConvUNet",
    "UNet_base_num_features": 32,
    "unet_max_num_features": 100,
    "n_conv_per_stage_encoder": [2, 2, 2],
    "n_conv_per_stage_decoder": [2, 2],
    "pool_op_kernel_sizes": [[1, 1, 1], [2, 2, 2], [1, 2, 2]],
    "conv_kernel_sizes": [[1, 3, 3], [3, 3, 3], [3, 3, 3]],
    "num_pool_per_axis": [1, 2, 2],
    "patch_size": [16, 32, 32],
}


def entries(**changes: Any) -> dict[str, Any]:
    """The golden configuration, with other arguments for its network."""
    configuration = autopet_plans()["configurations"]["3d_fullres"]
    configuration["architecture"]["arch_kwargs"].update(changes)
    return configuration


def of_class(name: str) -> dict[str, Any]:
    configuration = entries()
    configuration["architecture"]["network_class_name"] = name
    return configuration


def parameters(network: torch.nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


def test_the_golden_plans_give_the_golden_tensors() -> None:
    architecture = read_architecture(entries(), SOURCE)
    weights = autopet_checkpoint(0)["network_weights"]
    assert (architecture.channels(weights), architecture.classes(weights)) == (4, 2)
    expected = {name: tensor.shape for name, tensor in weights.items() if "organ_seg" not in name}
    assert parameters(architecture.build(4, 2)) == expected


def test_the_network_takes_no_memory_and_gives_one_output() -> None:
    network = read_architecture(entries(), SOURCE).build(4, 2)
    assert {tensor.device.type for tensor in network.parameters()} == {"meta"}
    logits = network(torch.zeros(1, 4, 32, 48, 48, device="meta"))
    assert logits.shape == (1, 2, 32, 48, 48)


def test_plans_before_the_architecture_entry_give_the_same_network_as_nnunet() -> None:
    expected = PlainConvUNet(
        input_channels=2,
        n_stages=3,
        features_per_stage=[32, 64, 100],
        conv_op=torch.nn.Conv3d,
        kernel_sizes=OLD_PLANS["conv_kernel_sizes"],
        strides=OLD_PLANS["pool_op_kernel_sizes"],
        n_conv_per_stage=[2, 2, 2],
        num_classes=3,
        n_conv_per_stage_decoder=[2, 2],
        conv_bias=True,
        norm_op=torch.nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=torch.nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    )
    architecture = read_architecture(OLD_PLANS, SOURCE)
    assert architecture.channels(expected.state_dict()) == 2
    assert architecture.classes(expected.state_dict()) == 3
    assert repr(architecture.build(2, 3)) == repr(expected)


def test_old_plans_of_a_residual_encoder_are_read() -> None:
    architecture = read_architecture(OLD_PLANS | {"UNet_class_name": "ResidualEncoderUNet"}, SOURCE)
    assert isinstance(architecture.build(2, 3), ResidualEncoderUNet)


def test_a_class_under_an_older_module_name_is_found() -> None:
    name = "dynamic_network_architectures.architectures.residual_unet.ResidualEncoderUNet"
    assert isinstance(read_architecture(of_class(name), SOURCE).build(4, 2), ResidualEncoderUNet)


@pytest.mark.parametrize("name", ["subprocess.Popen", "nnunetv2.Primus", "ResidualEncoderUNet.forward"])
def test_another_network_class_is_refused_by_name(name: str) -> None:
    with pytest.raises(
        ModelError, match=f"plans.json: found network_class_name '{name}', supported are Plain"
    ):
        read_architecture(of_class(name), SOURCE)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("conv_op", "torch.nn.modules.conv.Conv1d"),
        ("conv_op", "evil.Conv3d"),
        ("norm_op", "torch.nn.LeakyReLU"),
        ("nonlin", "os.system"),
        ("dropout_op", "builtins.eval"),
        ("n_stages", "builtins.eval"),
    ],
)
def test_another_operation_is_refused_by_name(key: str, name: str) -> None:
    configuration = entries(**{key: name})
    configuration["architecture"]["_kw_requires_import"] = [key]
    with pytest.raises(ModelError, match=f"found {key} '{name}', supported are"):
        read_architecture(configuration, SOURCE)


@pytest.mark.parametrize(
    "configuration",
    [
        {},
        {"architecture": []},
        {"architecture": {"network_class_name": 3}},
        entries(conv_op=7),
        entries(n_stages="x"),
        entries(n_stages=None),
    ],
)
def test_malformed_entries_are_refused(configuration: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"plans.json: the architecture cannot be built"):
        read_architecture(configuration, SOURCE)


@pytest.mark.parametrize(
    "changes",
    [
        {"strides": [[1, 1, 1]]},
        {"strides": [[1, 1]] * 4},
        {"odd": 1},
        {"features_per_stage": ["8"] * 4},
        {"features_per_stage": [10**30] * 4},
        {"n_stages": 3},
        {"n_blocks_per_stage": [1, 2, 2, 0]},
        {"norm_op_kwargs": {"epsilon": 1e-5}},
        {"norm_op_kwargs": {"device": 0}},
        {"nonlin_kwargs": {"inplace": "yes"}},
        {"dropout_op": "torch.nn.Dropout3d", "dropout_op_kwargs": {"p": 2}},
    ],
)
def test_arguments_that_the_network_does_not_take_are_refused_in_one_line(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"plans.json: the architecture cannot be built") as caught:
        read_architecture(entries(**changes), SOURCE).build(4, 2)
    assert "\n" not in str(caught.value)


def test_dropout_is_built() -> None:
    changes = {"dropout_op": "torch.nn.modules.dropout.Dropout3d", "dropout_op_kwargs": None}
    network = read_architecture(entries(**changes), SOURCE).build(4, 2)
    assert any(isinstance(module, torch.nn.Dropout3d) for module in network.modules())


@pytest.mark.parametrize("name", ["encoder.stem.convs.0.conv.weight", "decoder.seg_layers.2.weight"])
def test_weights_without_the_layers_that_give_the_sizes_are_refused(name: str) -> None:
    architecture = read_architecture(entries(), SOURCE)
    weights = autopet_checkpoint(0)["network_weights"]
    del weights[name]
    with pytest.raises(ModelError, match=f"checkpoint lacks its tensor {name}"):
        (architecture.channels(weights), architecture.classes(weights))
