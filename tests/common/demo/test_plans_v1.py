from pathlib import Path

import numpy as np
import pytest

from common.demo.plans_v1 import make_plans, write_plans
from common.export.checkpoints.v1.plans import PLANS_FILE, read_network_plan, read_plans_v1


@pytest.mark.parametrize(("scheme", "read_as"), [("CT", "ct"), ("nonCT", "z_score")])
def test_plans_are_read_as_nnunet_v1s(scheme: str, read_as: str, tmp_path: Path) -> None:
    intensities = np.linspace(0, 1000, 1001, dtype=np.float32)
    plans = make_plans(
        ["PET", "CT"],
        [intensities, intensities - 1000],
        patch=(32, 48, 64),
        spacing=(4.0, 3.0, 2.0),
        median_shape=(100, 90, 80),
        base_features=8,
        poolings=4,
        batch=2,
        scheme=scheme,  # type: ignore[arg-type]
    )
    write_plans(plans, tmp_path)
    read, network_plan = read_plans_v1(tmp_path / PLANS_FILE), read_network_plan(tmp_path / PLANS_FILE)
    assert (read.patch, read.spacing) == ((32, 48, 64), (4.0, 3.0, 2.0))
    assert [(channel.name, channel.scheme) for channel in read.channels] == [
        ("PET", read_as),
        ("CT", read_as),
    ]
    assert (
        network_plan.inputs,
        network_plan.classes,
        network_plan.base_features,
        len(network_plan.strides),
    ) == (2, 2, 8, 4)
    statistics = read.channels[1].statistics
    if scheme == "CT":
        assert statistics is not None
        assert statistics.mean == pytest.approx(-500)
        assert (statistics.percentile_00_5, statistics.percentile_99_5) == pytest.approx((-995, -5))
