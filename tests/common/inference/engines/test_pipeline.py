from collections.abc import Iterator

import numpy as np
import pytest

from common.errors import MachineError
from common.inference.engines.contract import Array
from common.inference.engines.gpu import GpuError
from common.inference.engines.pipeline import Pipeline, Start
from tests.support.gpu_double import LazyGpu, as_array

SHAPE = (2, 3, 4, 5)


def doubling(gpu: LazyGpu) -> Start:
    """A computation that gives every number twice."""

    def start(batch: int, tiles: int, logits: int, stream: int) -> None:
        size = batch * int(np.prod(SHAPE)) * 4

        def work() -> None:
            np.multiply(
                as_array(tiles, size).view(np.float32), 2, out=as_array(logits, size).view(np.float32)
            )

        gpu.enqueue(stream, work)

    return start


def tiles(count: int) -> Iterator[Array]:
    return (np.full(SHAPE, number, np.float32) for number in range(count))


@pytest.fixture
def gpu() -> LazyGpu:
    return LazyGpu()


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_batch_comes_back_once_and_in_order(gpu: LazyGpu, count: int, batch: int) -> None:
    batches = [[tile + 100 * n for n in range(batch)] for tile in tiles(count)]
    found = list(Pipeline(gpu).stream(batches, SHAPE, doubling(gpu)))
    expected = [2 * tile for each in batches for tile in each]
    np.testing.assert_array_equal(found, expected)


def test_two_batches_are_taken_before_the_first_comes_back(gpu: LazyGpu) -> None:
    taken: list[int] = []
    batches = ([tile] for tile in tiles(5) if taken.append(0) is None)  # type: ignore[func-returns-value]
    results = Pipeline(gpu).stream(batches, SHAPE, doubling(gpu))
    ahead = []
    for number, _ in enumerate(results, start=1):
        ahead.append(len(taken) - number)
    assert ahead == [1, 1, 1, 1, 0]


def test_views_of_any_layout_are_tiles(gpu: LazyGpu) -> None:
    tile = np.random.default_rng(0).standard_normal(SHAPE, np.float32)
    (found,) = Pipeline(gpu).stream([[np.flip(tile, (1, 3))]], SHAPE, doubling(gpu))
    np.testing.assert_array_equal(found, 2 * np.flip(tile, (1, 3)))


def test_results_stay_when_their_buffers_are_used_again(gpu: LazyGpu) -> None:
    pipeline = Pipeline(gpu)
    first = list(pipeline.stream(([tile] for tile in tiles(3)), SHAPE, doubling(gpu)))
    list(pipeline.stream(([tile + 50] for tile in tiles(3)), SHAPE, doubling(gpu)))
    np.testing.assert_array_equal(first, [2 * tile for tile in tiles(3)])


def test_buffers_serve_every_stream_and_only_grow(gpu: LazyGpu) -> None:
    pipeline = Pipeline(gpu)
    list(pipeline.stream([[*tiles(2)], [*tiles(2)]], SHAPE, doubling(gpu)))
    before = set(gpu.buffers)
    list(pipeline.stream(([tile] for tile in tiles(3)), SHAPE, doubling(gpu)))
    assert set(gpu.buffers) == before
    assert pipeline.activations(10) == pipeline.activations(10)
    count = len(gpu.buffers)
    pipeline.activations(11)
    assert len(gpu.buffers) == count


def test_a_stream_that_is_abandoned_leaves_the_next_one_right(gpu: LazyGpu) -> None:
    pipeline = Pipeline(gpu)
    abandoned = pipeline.stream(([tile] for tile in tiles(5)), SHAPE, doubling(gpu))
    next(abandoned)
    del abandoned
    found = list(pipeline.stream(([tile + 7] for tile in tiles(3)), SHAPE, doubling(gpu)))
    np.testing.assert_array_equal(found, [2 * (tile + 7) for tile in tiles(3)])


def without(gpu: LazyGpu, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setattr(gpu, method, lambda *arguments: None)


@pytest.mark.parametrize("method", ["wait", "synchronise"])
def test_the_double_notices_what_does_not_wait(
    gpu: LazyGpu, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """So that the tests above cannot pass by chance."""
    without(gpu, monkeypatch, method)
    found = list(Pipeline(gpu).stream(([tile] for tile in tiles(4)), SHAPE, doubling(gpu)))
    assert not np.array_equal(found, [2 * tile for tile in tiles(4)])


@pytest.mark.parametrize(
    "method", ["copy_in", "record", "wait", "copy_out", "synchronise", "allocate_pinned"]
)
def test_a_call_that_fails_ends_the_stream(method: str) -> None:
    gpu = LazyGpu(fails=(method, 2))
    with pytest.raises(GpuError, match=f"{method}: unspecified launch failure"):
        list(Pipeline(gpu).stream(([tile] for tile in tiles(4)), SHAPE, doubling(gpu)))


def test_what_the_tiles_raise_comes_through(gpu: LazyGpu) -> None:
    def failing() -> Iterator[list[Array]]:
        yield [*tiles(1)]
        raise MachineError("cannot be read")

    with pytest.raises(MachineError, match="cannot be read"):
        list(Pipeline(gpu).stream(failing(), SHAPE, doubling(gpu)))
