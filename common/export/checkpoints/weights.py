"""A checkpoint's tensors into a network, refused unless they fit one to one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from common.errors import ModelError

SHOWN = 3


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


def require_plain(weights: Mapping[str, torch.Tensor], source: Path, *, of_any_network: bool = True) -> None:
    """Raise `ModelError` for tensors that are no plain numbers: sparse, quantised, or without values.

    Where the file itself tells the network's size (`of_any_network`), one value may not stand for many, which
    takes no room in the file, but any amount of memory later.
    """
    strange = [
        str(name)
        for name, tensor in weights.items()
        if not _is_plain(tensor) or (of_any_network and tensor.nbytes > tensor.untyped_storage().nbytes())
    ]
    if strange:
        raise ModelError(
            f"{source}: {'; '.join(_some('not as training leaves them', strange))}; expected tensors with a "
            "value for each element; use a checkpoint as training left it"
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
