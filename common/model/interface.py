"""Which sockets a run has."""

from common import algorithms
from common.grandchallenge.interface import Interface
from common.model.model import Model


def interface_of(algorithm: str, model: Model | None) -> Interface:
    """The model's own interface, or the algorithm's where the model has none, or there is no model.

    Raises `InputError` where there is no such algorithm.
    """
    if model and model.interface:
        return model.interface
    return Interface.load(algorithms.interface_path(algorithm))
