"""The pictures of stored runs, from their data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.records import Split
    from bench.store.stored import RunSummary


def opened(runs: Sequence[RunSummary]) -> Callable[[], tuple[Split, Split]]:
    """Return what opens train and test of runs that compare, once, and raises ``BenchError`` where that cannot be."""

    @cache
    def open_once() -> tuple[Split, Split]:
        from bench.errors import StoreError
        from bench.guard import reason
        from bench.rebuilt import parts_again
        from bench.store.run_folder import RunFolder

        problem = "no finished run"
        for run in (run for run in runs if run.measures is not None):
            try:
                dataset = parts_again(RunFolder(run.path)).dataset
            except Exception as error:  # a run may come from anywhere, and pictures must not cost the page
                problem = reason(error)
            else:
                return dataset.train, dataset.test
        raise StoreError(problem)

    return open_once
