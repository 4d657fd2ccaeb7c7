from pathlib import Path

import pytest
import torch

from common.errors import ModelError
from common.export.checkpoints.weights import load_weights, require_plain

SOURCE = Path("fold_0/checkpoint_final.pth")


def network() -> torch.nn.Module:
    with torch.device("meta"):
        return torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3), torch.nn.InstanceNorm3d(2, affine=True))


def weights() -> dict[str, torch.Tensor]:
    return {name: torch.randn(tensor.shape) for name, tensor in network().state_dict().items()}


def test_a_network_without_memory_takes_the_weights_over() -> None:
    target, source = network(), weights()
    load_weights(target, source, SOURCE)
    assert not target.training
    for name, tensor in target.state_dict().items():
        assert torch.equal(tensor, source[name])


def test_half_precision_weights_become_the_networks_type() -> None:
    target = network()
    load_weights(target, {name: tensor.half() for name, tensor in weights().items()}, SOURCE)
    assert {tensor.dtype for tensor in target.state_dict().values()} == {torch.float32}


def test_of_two_names_for_one_tensor_the_last_wins_as_in_torch() -> None:
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv3d(1, 1, 1)
            self.all_modules = torch.nn.Sequential(self.conv)

    source = {name: torch.randn(tensor.shape) for name, tensor in Twice().state_dict().items()}
    by_torch = Twice()
    by_torch.load_state_dict(source)
    with torch.device("meta"):
        ours = Twice()
    load_weights(ours, source, SOURCE)
    assert torch.equal(ours.conv.weight, source["all_modules.0.weight"])
    assert torch.equal(ours.conv.weight, by_torch.conv.weight)
    assert torch.equal(ours.conv.bias, by_torch.conv.bias)  # type: ignore[arg-type]


def test_missing_surplus_and_misshapen_tensors_are_named() -> None:
    source = weights()
    del source["0.bias"]
    source |= {f"head.{index}": torch.zeros(1) for index in range(5)}
    source["1.weight"] = torch.zeros(3)
    with pytest.raises(ModelError) as caught:
        load_weights(network(), source, SOURCE)
    assert str(caught.value) == (
        "fold_0/checkpoint_final.pth: the weights do not fit the network that the plans describe: "
        "missing: 0.bias; surplus: head.0, head.1, head.2 and 2 more; "
        "of another shape: 1.weight (found [3], expected [2]); "
        "use the plans that this checkpoint was trained with"
    )


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(3, device="meta"),
        torch.zeros(3).to_sparse(),
        torch.zeros(3, dtype=torch.complex64),
    ],
    ids=["no values", "sparse", "complex"],
)
def test_tensors_without_a_value_for_each_element_are_refused(tensor: torch.Tensor) -> None:
    with pytest.raises(ModelError, match=r"not as training leaves them: b; expected tensors with a value"):
        require_plain({"a": torch.zeros(2), "b": tensor}, Path("x.pth"))


def test_one_value_that_stands_for_more_than_a_network_has_is_refused() -> None:
    one = torch.zeros(1)
    require_plain({"a": one.expand(10**6), "of another name": one.expand(10**6)}, SOURCE)
    with pytest.raises(ModelError, match="7629 MiB of weights, expected at most 2048"):
        require_plain({"a": one.expand(10**9), "b": one.expand(10**9 + 1)}, SOURCE)


def test_tensors_of_several_names_count_once() -> None:
    large = torch.zeros(1).expand(4 * 10**8)
    require_plain({"a": large, "b": large, "c": large}, SOURCE)
