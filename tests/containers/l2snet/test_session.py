"""A warm process for two networks."""

from pathlib import Path

from common.session import Session


def test_both_networks_get_warm(light_model: Path) -> None:
    session = Session("l2snet", light_model, keep=True)
    assert session.warm_up(1e7) == "ready: 2 of 2 engines"
