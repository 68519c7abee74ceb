"""A backbone on a GPU, one batch ahead: while it computes a batch, the host fetches the last one and reads the next."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.contracts import Backbone
from bench.records import FloatArray

if TYPE_CHECKING:
    import torch

Finish = Callable[[], FloatArray]
"""Waits for a batch that was started, and returns its features."""

Start = Callable[[FloatArray], Finish]
"""Starts a batch of pixels, which may be overwritten once this returns."""


def by_torch(backbone: Backbone, device: str) -> Start:
    """Return what starts a batch through the backbone's module, which is on ``device``, a CUDA one, already."""
    import torch

    fetch = _fetching(device)

    def start(pixels: FloatArray) -> Finish:
        with torch.inference_mode():
            on_device = fetch(pixels)
            with whole_floats():
                values = backbone.module(on_device).float()
            host = torch.empty(values.shape, dtype=torch.float32, pin_memory=True)
            host.copy_(values, non_blocking=True)
        done = torch.cuda.current_stream(device).record_event()

        def finish() -> FloatArray:
            done.synchronize()
            fetched: FloatArray = host.numpy()
            return fetched

        return finish

    return start


def by_onnx(session: Any, device: str) -> Start:
    """Return what starts a batch through an ONNX Runtime ``session`` on ``device``, a CUDA one."""
    from concurrent.futures import ThreadPoolExecutor

    pool, fetch = ThreadPoolExecutor(1), _fetching(device)

    def start(pixels: FloatArray) -> Finish:
        on_device = fetch(pixels)

        def run() -> FloatArray:
            binding = session.io_binding()
            binding.bind_input("pixels", "cuda", 0, np.float32, tuple(on_device.shape), on_device.data_ptr())
            binding.bind_output(session.get_outputs()[0].name)
            session.run_with_iobinding(binding)
            values: FloatArray = binding.copy_outputs_to_cpu()[0]
            return values

        return pool.submit(run).result

    return start


def _fetching(device: str) -> Callable[[FloatArray], torch.Tensor]:
    """Return what copies pixels to ``device`` on a stream of its own: they arrive while a batch is computed."""
    import torch

    copying: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def fetch(pixels: FloatArray) -> torch.Tensor:
        given = torch.from_numpy(pixels)
        with torch.cuda.stream(copying):
            on_device = (given if given.is_pinned() else given.pin_memory()).to(device, non_blocking=True)
        # The loader overwrites the pixels next.
        copying.synchronize()
        # Its memory is not given to the next batch before those who compute with it are done.
        on_device.record_stream(torch.cuda.current_stream(device))
        return on_device

    return fetch


@contextlib.contextmanager
def whole_floats() -> Iterator[None]:
    """Let convolutions on a GPU multiply whole fp32 numbers in the body, as the CPU does.

    Their default there, TF32, keeps 10 bits: features then differ from the CPU's by 3e-4 of the largest for 2e-6.
    """
    import torch

    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def one_ahead(started: Iterable[Finish]) -> Iterator[FloatArray]:
    """Yield what each of ``started`` finishes with, once the next one is started."""
    before: Finish | None = None
    for finish in started:
        if before is not None:
            yield before()
        before = finish
    if before is not None:
        yield before()


def pinned(shape: tuple[int, ...]) -> FloatArray:
    """Return float32 memory of the host that a GPU copies from directly."""
    import torch

    values: FloatArray = torch.empty(shape, dtype=torch.float32, pin_memory=True).numpy()
    return values
