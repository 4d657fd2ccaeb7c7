"""A checkpoint's tensors into a network, refused unless they fit one to one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from common.errors import ModelError
from common.memory import GIB, MIB

SHOWN = 3
MAX_BYTES = 2 * GIB
"""Five times nnU-Net's largest preset; tensors of several names count once."""


def load_weights(
    network: torch.nn.Module,
    weights: Mapping[str, torch.Tensor],
    source: Path,
    wanted: str = "the network that the plans describe",
    remedy: str = "use the plans that this checkpoint was trained with",
) -> None:
    """Put `weights` into `network`, in the network's number type, and set it to inference.

    The network may lie on the meta device: its tensors are replaced, not copied into. Raises `ModelError`
    naming the first tensors that are missing, surplus or of another shape, the file `source`, the network
    that is `wanted`, and the `remedy`.
    """
    expected = network.state_dict()
    problems = [
        *_some("missing", [name for name in expected if name not in weights]),
        *_some("surplus", [name for name in weights if name not in expected]),
        *_some("of another shape", _misshapen(expected, weights)),
    ]
    if problems:
        raise ModelError(f"{source}: the weights do not fit {wanted}: {'; '.join(problems)}; {remedy}")
    tensors = {name: weights[name].to(tensor.dtype) for name, tensor in expected.items()}
    network.load_state_dict(tensors, assign=True)
    network.eval()


def require_plain(weights: Mapping[str, torch.Tensor], source: Path) -> None:
    """Raise `ModelError` for tensors that are no plain numbers: sparse, quantised, or without values.

    Also for more of them than a network has: in a file, one value may stand for any number.
    """
    strange = [str(name) for name, tensor in weights.items() if not _is_plain(tensor)]
    if strange:
        raise ModelError(
            f"{source}: {'; '.join(_some('not as training leaves them', strange))}; expected tensors with a "
            "value for each element; use a checkpoint as training left it"
        )
    size = sum({(tensor.data_ptr(), tensor.shape): tensor.nbytes for tensor in weights.values()}.values())
    if size > MAX_BYTES:
        raise ModelError(
            f"{source}: {size // MIB} MiB of weights, expected at most {MAX_BYTES // MIB}; use a checkpoint "
            "as training left it"
        )


def _is_plain(tensor: torch.Tensor) -> bool:
    return (
        tensor.layout == torch.strided
        and tensor.device.type == "cpu"
        and not tensor.is_quantized
        and not tensor.is_complex()
    )


def _misshapen(expected: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor]) -> list[str]:
    return [
        f"{name} (found {list(weights[name].shape)}, expected {list(tensor.shape)})"
        for name, tensor in expected.items()
        if name in weights and weights[name].shape != tensor.shape
    ]


def _some(what: str, names: Sequence[str]) -> list[str]:
    """`what` with the first few names, or nothing where there are none."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"{what}: {', '.join(names[:SHOWN])}{more}"] if names else []
