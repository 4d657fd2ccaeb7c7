"""What a model folder says of its algorithm, its networks, and what to do with them."""

import json
from typing import Any, TypeVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from common.documents import STRICT, decode
from common.errors import ModelError
from common.grandchallenge.interface import Interface
from common.inference.network import Network

MODEL_FILE = "model.json"
EXPORT_AGAIN = "make the folder again with petct export"

T = TypeVar("T")


@dataclass(frozen=True, config=STRICT)
class Model:
    """A model folder whose ONNX files' hashes have been checked."""

    algorithm: str
    networks: tuple[Network, ...]
    source_sha256: str
    """Hash over the checkpoint files that the folder was made from."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """The algorithm's own numbers, such as the width of a click."""
    run: dict[str, Any] = Field(default_factory=dict)
    """What was chosen for every run with this model; see `common.model.settings`."""
    interface: Interface | None = None
    """The sockets of this model, where they are not the algorithm's own."""

    def network(self, name: str) -> Network:
        """The network of that name; `ModelError` if there is none."""
        networks = {network.name: network for network in self.networks}
        if name not in networks:
            raise ModelError(
                f"{MODEL_FILE}: found networks {list(networks)}, expected {name!r}; {EXPORT_AGAIN}"
            )
        return networks[name]

    @property
    def fold_names(self) -> list[str]:
        """The folds of what nnU-Net's recipe prepares; other networks are trained once for all of them."""
        folds = (fold for network in self.networks if network.plans for fold in network.folds)
        return list(dict.fromkeys(fold.name for fold in folds))

    def settings_as(self, kind: type[T]) -> T:
        """The settings as a document's class; `ModelError` naming the first that does not fit."""
        try:
            return decode(kind, json.dumps(self.settings), "settings")
        except ValueError as error:
            raise ModelError(f"{MODEL_FILE}: {error}; {EXPORT_AGAIN}") from error
