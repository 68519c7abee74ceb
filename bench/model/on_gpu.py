"""A backbone on a GPU, one batch ahead: while it computes a batch, the host fetches the last one and reads the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from bench.contracts import Backbone
from bench.records import FloatArray

if TYPE_CHECKING:
    import torch

Finish = Callable[[], FloatArray]
"""Waits for a batch that was started, and returns its features."""

Start = Callable[[FloatArray], Finish]
"""Starts a batch of pixels, which may be overwritten once this returns."""


def by_torch(backbone: Backbone, device: str) -> Start:
    """Return what starts a batch through the backbone's module, which is on ``device``, a CUDA one, already.

    Pixels travel on a stream of their own, so that they arrive while the batch before is computed.
    """
    import torch

    copying: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def start(pixels: FloatArray) -> Finish:
        given = torch.from_numpy(pixels)
        with torch.inference_mode():
            with torch.cuda.stream(copying):
                on_device = (given if given.is_pinned() else given.pin_memory()).to(device, non_blocking=True)
            copying.synchronize()
            values = backbone.module(on_device).float()
            on_device.record_stream(torch.cuda.current_stream(device))
            host = torch.empty(values.shape, dtype=torch.float32, pin_memory=True)
            host.copy_(values, non_blocking=True)
        return _when_done(host, torch.cuda.current_stream(device).record_event())

    return start


def by_onnx(session: Any) -> Start:
    """Return what starts a batch through an ONNX Runtime ``session`` on CUDA."""
    from concurrent.futures import ThreadPoolExecutor

    import onnxruntime

    pool = ThreadPoolExecutor(1)

    def start(pixels: FloatArray) -> Finish:
        binding = session.io_binding()
        binding.bind_ortvalue_input("pixels", onnxruntime.OrtValue.ortvalue_from_numpy(pixels, "cuda", 0))
        binding.bind_output(session.get_outputs()[0].name)

        def run() -> FloatArray:
            session.run_with_iobinding(binding)
            values: FloatArray = binding.copy_outputs_to_cpu()[0]
            return values

        return pool.submit(run).result

    return start


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


def _when_done(host: torch.Tensor, event: torch.cuda.Event) -> Finish:
    def finish() -> FloatArray:
        event.synchronize()
        values: FloatArray = host.numpy()
        return values

    return finish
