"""The order of work: on a clock that moves with each run of the network."""

import logging
import time

import numpy as np
import pytest

from common.errors import MachineError
from common.inference.schedule import (
    TIME_RESERVE,
    Pace,
    Schedule,
    Visit,
    all_mirrorings,
    describe_left_out,
    fitting_grid,
    last_moment,
    require_time,
    timed,
)
from common.inference.tiles import TileGrid

FOLDS, MIRRORINGS, TILES = 3, 4, 6
TISSUE = np.array([False, True, True, False, True, True])
RUNS = FOLDS * MIRRORINGS * TILES


@pytest.fixture
def clock(monkeypatch):
    clock = {"now": 100.0}
    monkeypatch.setattr(time, "monotonic", lambda: clock["now"])
    return clock


def work_off(clock, seconds_left, *, load=0.0, seconds=lambda run: 1.0, done=None, folds=None):
    """Every run in its order, as (fold, mirroring, tile), and what is done at the end."""
    done = np.zeros((FOLDS, MIRRORINGS, TILES), bool) if done is None else done
    pace = Pace(load)
    pace.ran(seconds(0))
    until = None if seconds_left is None else clock["now"] + seconds_left
    schedule = Schedule(done, TISSUE, pace, until, folds)
    runs: list[tuple[int, int, int]] = []
    loaded = None
    while visit := schedule.next_visit(loaded):
        clock["now"] += load * (visit.fold != loaded)
        loaded, was_whole = visit.fold, schedule.is_whole(visit.fold)
        for tile in visit.tiles:
            if not schedule.goes_on(visit, was_whole):
                break
            start = clock["now"]
            for mirroring in visit.mirrorings:
                clock["now"] += seconds(len(runs))
                runs.append((visit.fold, mirroring, tile))
            schedule.record(visit, tile, clock["now"] - start, len(visit.mirrorings))
    return runs, done


@pytest.mark.parametrize("seconds_left", [None, RUNS, RUNS + 1e6])
def test_what_fits_goes_fold_by_fold_and_tile_by_tile(clock, seconds_left):
    runs, done = work_off(clock, seconds_left)
    assert runs == [(f, m, t) for f in range(FOLDS) for t in range(TILES) for m in range(MIRRORINGS)]
    assert done.all()


@pytest.mark.parametrize("seconds_left", range(TILES, RUNS))
def test_what_does_not_fit_fills_the_time_with_different_runs(clock, seconds_left):
    runs, done = work_off(clock, seconds_left)
    assert seconds_left - MIRRORINGS < len(runs) <= seconds_left
    assert len(set(runs)) == len(runs) == np.count_nonzero(done)


@pytest.mark.parametrize("seconds_left", range(TILES, RUNS))
def test_one_pass_comes_first_then_folds_then_mirrorings(clock, seconds_left):
    runs, _ = work_off(clock, seconds_left)
    first, others = runs[:TILES], runs[TILES : FOLDS * TILES]
    assert {run[:2] for run in first} == {(0, 0)}
    assert {mirroring for _, mirroring, _ in others} <= {0}
    assert [fold for fold, _, _ in others] == sorted(fold for fold, _, _ in others)
    assert all(mirroring for _, mirroring, _ in runs[FOLDS * TILES :])


def test_tiles_without_tissue_are_the_last_of_each_pass(clock):
    runs, _ = work_off(clock, RUNS - 1)
    for number in range(FOLDS):
        tiles = [tile for _, _, tile in runs[TILES * number : TILES * (number + 1)]]
        assert tiles == [1, 2, 4, 5, 0, 3]


def test_mirrorings_come_to_all_folds_alike(clock):
    _, done = work_off(clock, FOLDS * TILES * 2)
    assert done.all(axis=2).sum(axis=1).tolist() == [2, 2, 2]


def test_mirrorings_for_which_every_fold_has_time_share_one_engine(clock):
    _, done = work_off(clock, 9 + FOLDS * TILES * 3, load=1.0)
    assert done.all(axis=2).sum(axis=1).tolist() == [3, 3, 3]


def test_a_fold_that_takes_too_long_to_load_is_left_out(clock):
    _, done = work_off(clock, 10 + TILES + 20, load=10.0)
    assert done[0, :3].all()
    assert not done[1:].any()
    clock["now"] = 100.0
    _, done = work_off(clock, 10 + TILES + 21, load=10.0)
    assert done[1, 0].any()


def test_engines_count_in_what_fits(clock):
    _, done = work_off(clock, RUNS + FOLDS * 10, load=10.0)
    assert done.all()
    clock["now"] = 100.0
    runs, _ = work_off(clock, RUNS + FOLDS * 10 - 1, load=10.0)
    assert [run[:2] for run in runs[:TILES]] == [(0, 0)] * TILES


@pytest.mark.parametrize("slower_from", [1, 9, 17, 30, 60])
def test_a_machine_that_slows_down_still_sees_every_tile_once(clock, slower_from):
    """Whatever it was about: there is time for a pass at the slow pace after the first few slow tiles."""
    left = slower_from + 10 * (2 * MIRRORINGS + TILES)
    runs, done = work_off(clock, left, seconds=lambda run: 1.0 if run < slower_from else 10.0)
    assert done.any(axis=(0, 1)).all()
    assert clock["now"] <= 100 + left + 10 * MIRRORINGS
    assert len(set(runs)) == len(runs)


def test_one_slow_tile_does_not_change_the_order(clock):
    runs, done = work_off(clock, 2 * RUNS, seconds=lambda run: 5.0 if run == 8 else 1.0)
    assert done.all()
    assert runs == sorted(runs, key=lambda run: (run[0], run[2], run[1]))


def test_folds_go_in_the_order_that_is_asked_for(clock):
    runs, _ = work_off(clock, None, folds=(2, 1, 0))
    assert list(dict.fromkeys(fold for fold, _, _ in runs)) == [2, 1, 0]


def test_the_fold_that_is_loaded_makes_the_first_pass():
    pace = Pace()
    pace.ran(1e9)
    schedule = Schedule(np.zeros((3, 1, 2), bool), np.ones(2, bool), pace, time.monotonic() + 1.5e9)
    assert schedule.next_visit(loaded=1) == Visit(1, (0,), (0, 1))


def test_every_subset_of_the_mirror_axes_is_a_mirroring():
    assert all_mirrorings((0, 1, 2)) == ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
    assert all_mirrorings(()) == ((),)


def test_a_part_of_the_time_is_kept_for_what_follows(clock):
    assert last_moment(None) is None
    assert last_moment(200.0) == pytest.approx(100 + 100 * (1 - TIME_RESERVE))
    assert last_moment(50.0) == 50.0


@pytest.mark.parametrize("share", [1.0, 0.9, 0.6, 0.35])
def test_the_grid_has_as_many_tiles_as_there_is_time_for(clock, share, caplog):
    grid = TileGrid((300, 200, 200), (64, 64, 64))
    left = share * len(grid)
    with caplog.at_level(logging.WARNING):
        wider = fitting_grid(grid, 1.0, clock["now"] + left)
    assert len(wider) <= left
    assert (wider.step == 0.5) == (share == 1) == (not caplog.records)
    assert len(TileGrid(grid.shape, grid.patch, wider.step - 0.05)) > left or share == 1


def test_a_step_that_was_chosen_is_never_narrowed(clock):
    grid = TileGrid((300, 200, 200), (64, 64, 64), 0.9)
    assert fitting_grid(grid, 0.0, clock["now"] + 1) is grid


def test_too_little_time_for_tiles_side_by_side_is_refused(clock):
    grid = TileGrid((128, 128, 128), (64, 64, 64))
    with pytest.raises(MachineError, match="one pass over all tiles at step 1 takes about 80 s, 79 s "):
        fitting_grid(grid, 10.0, clock["now"] + 79)


def test_what_takes_longer_than_is_left_is_refused(clock):
    require_time("localisation", 10, clock["now"] + 10)
    with pytest.raises(MachineError, match="localisation takes about 10 s, 0 s are left"):
        require_time("localisation", 10, clock["now"] - 1)


def test_the_pace_is_the_mean_of_the_last_tiles():
    pace = Pace()
    assert pace.run == 0
    for seconds in (100.0, *[8.0] * 5):
        pace.ran(seconds, runs=4)
    assert pace.run == 2


def test_the_last_result_alone_is_timed(clock):
    def results():
        for seconds in (7.0, 2.0):
            clock["now"] += seconds
            yield seconds

    assert timed(results()) == ([7.0, 2.0], 2.0)


def test_one_line_says_what_was_left_out():
    done = np.zeros((10, 8, 48), bool)
    done[:3, 0] = True
    done[3, 0, :20] = True
    done[0, 1, :17] = True
    assert describe_left_out(done, 820) == (
        "the time limit left out work: 3 of 10 folds saw every tile, 17 of 48 tiles were mirrored; "
        "5% of the work in 13 min 40 s"
    )
    done[:, :, 40:] = False
    assert "8 tiles were not seen at all" in describe_left_out(done, 820)
    assert describe_left_out(np.ones((2, 1, 5), bool), 820) == ""
