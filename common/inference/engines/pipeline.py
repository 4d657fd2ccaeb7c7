"""Tiles on their way through a GPU: while one is computed, the next is copied in, and the last one out.

Two batches are in flight at most. Each has its own buffers; three streams and the events between them keep
the order. Host memory is pinned, without which copies would wait for the computation.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import cycle
from math import prod

import numpy as np

from common.inference.engines.contract import Array
from common.inference.engines.gpu import Address, Gpu, GpuError, Handle, PinnedMemory

FLOAT32 = 4
DEPTH = 2
"""Batches in flight."""

Start = Callable[[int, Address, Address, Handle], None]
"""Start the computation of so many tiles, from an address to another, in a stream."""


class Pipeline:
    """Streams and buffers of one GPU, for one network after the other; buffers only grow.

    All methods raise `GpuError`.
    """

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._copy_in, self.compute, self._copy_out = (gpu.make_stream() for _ in range(3))
        self._slots = [_Slot(gpu) for _ in range(DEPTH)]
        self._activations = _DeviceBuffer(gpu)

    def activations(self, size: int) -> Address:
        """GPU memory for what a network computes in between; one network at a time may use it."""
        return self._activations.of(size)

    def stream(
        self, batches: Iterable[Sequence[Array]], logits_shape: tuple[int, ...], start: Start
    ) -> Iterator[Array]:
        """Yield the logits of every tile, in order; each batch's tiles are of one shape.

        `logits_shape` is one tile's, (K, [Z,] Y, X). Raises whatever `batches` and `start` raise.
        """
        flying: deque[tuple[_Slot, int]] = deque()
        slots = cycle(self._slots)
        try:
            for batch in batches:
                slot = next(slots)
                self._send(slot, batch, FLOAT32 * len(batch) * prod(logits_shape), start)
                flying.append((slot, len(batch)))
                if len(flying) == DEPTH:
                    yield from self._received(*flying.popleft(), logits_shape)
            while flying:
                yield from self._received(*flying.popleft(), logits_shape)
        finally:
            # Buffers must be at rest when the next stream begins; a GPU that has failed is at rest.
            with suppress(GpuError):
                for stream in (self._copy_in, self.compute, self._copy_out):
                    self._gpu.drain(stream)

    def _send(self, slot: "_Slot", batch: Sequence[Array], logits_size: int, start: Start) -> None:
        gpu, size = self._gpu, sum(tile.size for tile in batch) * FLOAT32
        source = slot.host_in.of(size)
        tiles, logits = slot.device_in.of(size), slot.device_out.of(logits_size)
        for target, tile in zip(
            source.view(np.float32).reshape(len(batch), *batch[0].shape), batch, strict=True
        ):
            target[...] = tile
        gpu.copy_in(tiles, source, self._copy_in)
        gpu.record(slot.copied_in, self._copy_in)
        gpu.wait(self.compute, slot.copied_in)
        start(len(batch), tiles, logits, self.compute)
        gpu.record(slot.computed, self.compute)
        gpu.wait(self._copy_out, slot.computed)
        gpu.copy_out(slot.host_out.of(logits_size), logits, self._copy_out)
        gpu.record(slot.copied_out, self._copy_out)

    def _received(self, slot: "_Slot", tiles: int, logits_shape: tuple[int, ...]) -> Iterator[Array]:
        self._gpu.synchronise(slot.copied_out)
        logits = slot.host_out.of(FLOAT32 * tiles * prod(logits_shape))
        # Copies, since the buffer is filled again while the caller still sums up.
        return map(np.copy, logits.view(np.float32).reshape(tiles, *logits_shape))


class _Slot:
    """The buffers and events of one batch in flight."""

    def __init__(self, gpu: Gpu) -> None:
        self.host_in, self.host_out = _HostBuffer(gpu), _HostBuffer(gpu)
        self.device_in, self.device_out = _DeviceBuffer(gpu), _DeviceBuffer(gpu)
        self.copied_in, self.computed, self.copied_out = (gpu.make_event() for _ in range(3))


class _DeviceBuffer:
    """GPU memory that grows when more is asked for, and is at rest then."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._address: Address | None = None
        self._size = 0

    def of(self, size: int) -> Address:
        if self._address is None or size > self._size:
            if self._address is not None:  # first, because both may be more than there is
                self._gpu.free(self._address)
                self._address = None
            self._address, self._size = self._gpu.allocate(max(1, size)), size
        return self._address


class _HostBuffer:
    """Pinned host memory that grows when more is asked for, and is at rest then."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._memory: PinnedMemory | None = None

    def of(self, size: int) -> PinnedMemory:
        if self._memory is None or size > len(self._memory):
            if self._memory is not None:
                self._gpu.free_pinned(self._memory)
                self._memory = None
            self._memory = self._gpu.allocate_pinned(size)
        return self._memory[:size]
