from dataclasses import replace

import pytest

from common.errors import InputError
from common.grandchallenge.interface import Interface
from common.model.interface import interface_of
from common.model.model import Model
from tests.support.platform import INTERFACE, REPOSITORY

MODEL = Model("gepnet", (), "source")
OF_ALGORITHM = Interface.load(REPOSITORY / "containers/gepnet/interface.json")


@pytest.mark.parametrize("model", [MODEL, None])
def test_sockets_are_the_algorithms_where_the_model_has_none(model: Model | None) -> None:
    assert interface_of("gepnet", model) == OF_ALGORITHM


def test_a_models_own_sockets_win() -> None:
    assert interface_of("gepnet", replace(MODEL, interface=INTERFACE)) == INTERFACE


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(InputError, match="there is no algorithm 'nothing'"):
        interface_of("nothing", None)
