import logging

import pytest

from common.errors import MachineError
from common.inference.schedule import Passes, probe, within_time


def test_every_subset_of_the_mirror_axes_is_a_pass():
    passes = Passes.of(2, (0, 1, 2))
    assert passes.mirrorings == ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
    assert len(passes) == 16


def test_no_mirror_axes_leave_one_pass_per_fold():
    assert Passes.of(5, ()) == Passes(5, ((),))


def test_all_passes_are_run_when_time_suffices(caplog):
    assert within_time(5, (0, 1, 2), per_pass=1, left=40) == Passes.of(5, (0, 1, 2))
    assert not caplog.records


@pytest.mark.parametrize(("left", "folds", "axes"), [(39, 4, 3), (20, 5, 2), (7, 3, 1), (5, 5, 0), (1, 1, 0)])
def test_as_many_passes_as_fit_are_run_folds_before_mirrorings(left, folds, axes, caplog):
    with caplog.at_level(logging.WARNING):
        passes = within_time(5, (0, 1, 2), per_pass=1, left=left)
    assert passes == Passes.of(folds, (0, 1, 2)[:axes])
    assert f"{folds} of 5 folds with {2**axes} of 8 mirrorings" in caplog.text


@pytest.mark.parametrize("left", [0.9, -3])
def test_too_little_time_for_one_pass_is_refused(left):
    with pytest.raises(MachineError, match="one pass over all tiles takes about 1 s"):
        within_time(5, (0, 1, 2), per_pass=1, left=left)


def test_folds_after_the_first_take_the_time_that_their_engines_take():
    def passes(left: float) -> Passes:
        return within_time(5, (0, 1, 2), per_pass=1, left=left, per_engine=10)

    assert passes(left=40 + 4 * 10) == Passes.of(5, (0, 1, 2))
    assert passes(left=40 + 4 * 10 - 1) == Passes.of(4, (0, 1, 2))
    assert passes(left=8) == Passes.of(1, (0, 1, 2))
    assert passes(left=1) == Passes.of(1, ())


def test_the_last_call_alone_is_timed(monkeypatch):
    clock = {"now": 0.0}

    def wait(seconds):
        clock["now"] += seconds
        return seconds

    monkeypatch.setattr("time.monotonic", lambda: clock["now"])
    assert probe([lambda: wait(7.0), lambda: wait(2.0)]) == ([7.0, 2.0], 2.0)
