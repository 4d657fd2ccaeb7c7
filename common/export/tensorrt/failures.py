"""TensorRT's failures in one line that names the layer."""

from collections.abc import Sequence
from typing import Any

MAX_REASON = 300
"""Characters of TensorRT's own words that a message shows."""


def explain_parsing(parser: Any) -> str:
    """Why an ONNX file cannot be read, by its first node that fails."""
    if not parser.num_errors:
        return "TensorRT cannot read the file and says no reason"
    error = parser.get_error(0)
    layer = f"layer {error.node_name()} ({error.node_operator()})" if error.node_name() else "the file"
    return f"TensorRT cannot read {layer}: {_short(error.desc())}"


def explain_build(network: Any, errors: Sequence[str], target: str) -> str:
    """Why a network that was read cannot be compiled, by the layers that the error names."""
    text = next((line for line in reversed(errors) if "Error Code" in line), " ".join(errors[-1:]))
    named = [name for name in _layers(network) if name and _names(text, name)]
    layers = f"layer {', '.join(named)}" if named else "the network"
    return f"TensorRT cannot compile {layers} for {target}: {_short(text) or 'no reason given'}"


def _layers(network: Any) -> list[str]:
    return [network.get_layer(index).name for index in range(network.num_layers)]


def _names(text: str, layer: str) -> bool:
    """Whether a text has the layer's name, and not as a part of a longer one."""
    start = text.find(layer)
    while start >= 0:
        around = text[max(0, start - 1) : start] + text[start + len(layer) : start + len(layer) + 1]
        if not any(character.isalnum() or character in "_/" for character in around):
            return True
        start = text.find(layer, start + 1)
    return False


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= MAX_REASON else f"{words[:MAX_REASON]}…"
