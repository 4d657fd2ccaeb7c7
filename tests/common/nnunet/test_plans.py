from dataclasses import replace

import pytest

from common.nnunet.plans import ChannelSpec, Plans, Resampling

PLANS = Plans(
    2, (8, 8, 8), (3.0, 2.0, 2.0), (2, 0, 1), (ChannelSpec("PET", "none"),), Resampling(3), Resampling(1)
)


def test_backward_undoes_forward():
    assert [PLANS.transpose_forward[axis] for axis in PLANS.transpose_backward] == [0, 1, 2]


def test_other_names_leave_the_channels_as_they_are():
    named = PLANS.with_names(["CT"])
    assert named.channels == (ChannelSpec("CT", "none"),)
    assert named.with_names(["PET"]) == PLANS


@pytest.mark.parametrize(
    "values",
    [
        {"patch": (0, 8, 8)},
        {"spacing": (0.0, 1.0, 1.0)},
        {"spacing": (1.0, float("nan"), 1.0)},
        {"transpose_forward": (0, 0, 1)},
        {"channels": ()},
    ],
)
def test_plans_that_make_no_sense_are_refused(values):
    with pytest.raises(ValueError, match=r"found .*, expected|should be a finite number"):
        replace(PLANS, **values)


@pytest.mark.parametrize("orders", [(9, 0), (-1, 0), (3, 6)])
def test_splines_that_there_are_not_are_refused(orders):
    with pytest.raises(ValueError, match="expected 0 to 5"):
        Resampling(*orders)


@pytest.mark.parametrize("scheme", ["ct", "ct2"])
def test_ct_channel_needs_statistics(scheme):
    with pytest.raises(ValueError, match=f"channel CT of scheme {scheme} has no statistics"):
        ChannelSpec("CT", scheme)
