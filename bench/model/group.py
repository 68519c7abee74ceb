"""Processes that fine-tune one backbone together, through torch.distributed: gloo on CPUs, NCCL on GPUs.

Each has a part of every batch. What a model makes of features may depend on the whole batch (a loss that counts pairs,
a normalisation, dropout), so features are gathered, and every process computes the loss of all of them, from the same
random numbers; each then goes back through the backbone with its own images, and the gradients are added. So the
update is that of one process, whatever the loss, up to the rounding of sums.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError
from bench.system.ranks import SILENT, Team
from bench.system.redirect import prints_to_stderr

if TYPE_CHECKING:
    import torch


class OtherFailedError(BenchError):
    """Another process of the group has failed; it has told why."""


class Group:
    """The ``count`` processes that tune, of which this one is ``rank``; ``lost`` is called where another is gone."""

    def __init__(self, rank: int, count: int, lost: Callable[[], None]) -> None:
        self.rank, self.count, self._lost = rank, count, lost

    @classmethod
    def joined(cls, team: Team, device: str) -> Group:
        """Return the group of a ``team`` once all are there; gradients are on ``device``."""
        import torch.distributed as dist

        place = team.place
        group = cls(place.rank, place.count, team.lost)
        if not dist.is_initialized():
            backend = "cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo"
            wait = datetime.timedelta(seconds=SILENT)
            # torch prints of its connections.
            with prints_to_stderr(), group._connected():
                dist.init_process_group(
                    backend, store=team.store, rank=place.rank, world_size=place.count, timeout=wait
                )
        return group

    @contextlib.contextmanager
    def _connected(self) -> Iterator[None]:
        """Turn what torch raises where a process is gone, or silent for long, into one line."""
        try:
            yield
        except RuntimeError as error:  # the base of all that torch.distributed raises
            self._lost()
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BenchError(f"the {self.count} processes of the fine-tuning lost one another: {reason}") from error

    def own(self, rows: int) -> slice:
        """Return which of ``rows`` are this process's; none where there are fewer than processes."""
        return self.parts(rows)[self.rank]

    def parts(self, rows: int) -> list[slice]:
        """Return which of ``rows`` are each process's."""
        cuts = [rows * rank // self.count for rank in range(self.count + 1)]
        return [slice(first, last) for first, last in itertools.pairwise(cuts)]

    def gather(self, values: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        """Return all processes' ``values``, (rows, ...), in the order of ranks; ``lengths`` are how many each has."""
        import torch
        import torch.distributed as dist

        padded = values.new_zeros((max(lengths), *values.shape[1:]))
        padded[: len(values)] = values
        found = [torch.empty_like(padded) for _ in lengths]
        with self._connected():
            dist.all_gather(found, padded)
        return torch.cat([part[:length] for part, length in zip(found, lengths, strict=True)])

    def lengths(self, rows: int) -> list[int]:
        """Return how many of ``rows`` each process has."""
        return [part.stop - part.start for part in self.parts(rows)]

    @contextlib.contextmanager
    def agreed(self) -> Iterator[None]:
        """Have the body fail in every process where it fails in one. Raises ``OtherFailedError`` where another did."""
        failure: Exception | None = None
        try:
            yield
        except Exception as error:
            failure = error
        failed = self._largest([failure is not None])[0]
        if failure is not None:
            raise failure
        if failed:
            raise OtherFailedError("another process of the group failed")

    def _largest(self, values: Sequence[bool]) -> list[bool]:
        import torch
        import torch.distributed as dist

        told = torch.tensor(values, dtype=torch.uint8)
        with self._connected():
            dist.all_reduce(told, dist.ReduceOp.MAX)
        return [bool(value) for value in told.tolist()]

    def add_gradients(self, shared: Sequence[torch.Tensor], same: Sequence[torch.Tensor]) -> None:
        """Add up the gradients of ``shared`` parameters, and take those of the ``same`` ones from rank 0.

        Each process has computed the latter from the whole batch, on what may be another kind of machine. A parameter
        that no process has a gradient of is left without.
        """
        import torch
        import torch.distributed as dist

        has = self._largest([parameter.grad is not None for parameter in (*shared, *same)])
        used = [parameter for parameter, one in zip((*shared, *same), has, strict=True) if one]
        from_first = {id(parameter) for parameter in same}
        for parameter in used:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            elif self.rank and id(parameter) in from_first:
                parameter.grad.zero_()
        gradients = [parameter.grad for parameter in used if parameter.grad is not None]
        if not gradients:
            return
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        with self._connected():
            dist.all_reduce(flat)
        sizes = [gradient.numel() for gradient in gradients]
        for gradient, values in zip(gradients, torch.split(flat, sizes), strict=True):
            gradient.copy_(values.view_as(gradient))

    def take(self, tensors: Iterable[Any]) -> None:
        """Give every one of ``tensors`` rank 0's values, in place; what is none is passed over."""
        import torch

        with torch.no_grad():
            for tensor in tensors:
                if isinstance(tensor, torch.Tensor):
                    whole = tensor.detach().contiguous()
                    self._from_first(whole)
                    tensor.copy_(whole)

    def _from_first(self, values: torch.Tensor) -> None:
        import torch.distributed as dist

        with self._connected():
            dist.broadcast(values, 0)

    def told(self, content: bytes | memoryview) -> bytes:
        """Return rank 0's ``content``."""
        import torch

        size = torch.tensor([len(content)])
        self._from_first(size)
        held = bytearray(content if self.rank == 0 else int(size.item()))
        if held:
            self._from_first(torch.frombuffer(held, dtype=torch.uint8))
        return bytes(held)
