"""TensorBoard: an event file for each run and each table, written by tensorboard's own records, without torch."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bench
from bench import write_atomic

FILE = "events.out.tfevents.bench"
"""One name for ever: a file written again takes the old one's place, where a new name would stand beside it."""


class TensorBoard:
    """Writes event files: curves and measures as scalars, the config for the HParams tab, tables as text."""

    def __init__(self, request: bench.TrackerRequest) -> None:
        # What is not installed is found here, before anything is written.
        from tensorboard.compat.proto import event_pb2
        from tensorboard.plugins.hparams import summary_v2 as hparams
        from tensorboard.plugins.scalar import summary_v2 as scalar
        from tensorboard.plugins.text import summary_v2 as text
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._folder = request.folder
        self._event, self._writer = event_pb2.Event, RecordWriter
        self._hparams, self._scalar, self._text = hparams.hparams_pb, scalar.scalar_pb, text.text_pb

    def run(self, run: bench.TrackedRun) -> str:
        """Write one run's event file; return its folder, named as the run's own."""
        # The whole key as trial: two seeds of one config stay two rows.
        options = self._hparams(dict(run.config), trial_id=run.key, start_time_secs=run.finished)
        points = [(0, options), (0, self._text("per_class", markdown(run.per_class)))]
        points += [(0, self._scalar(f"test/{name}", value)) for name, value in run.measures.items()]
        for series in run.series:
            summaries = (self._scalar(series.name, value) for value in series.values)
            points += zip(series.epochs, summaries, strict=True)
        return self._write(self._folder.joinpath(_safe(run.dataset), _safe(run.model), run.key), points, run.finished)

    def table(self, table: bench.TrackedTable) -> str:
        """Write one table's event file, seen under the Text tab; return its folder."""
        summary = self._text("comparison", markdown(table))
        return self._write(self._folder / "comparisons" / table.key, [(0, summary)], time.time())

    def _write(self, folder: Path, points: Iterable[tuple[int, Any]], when: float) -> str:
        buffer = io.BytesIO()
        records = self._writer(buffer)
        records.write(self._event(wall_time=when, file_version="brain.Event:2").SerializeToString())
        for step, summary in points:
            records.write(self._event(wall_time=when, step=step, summary=summary).SerializeToString())
        write_atomic(folder / FILE, buffer.getvalue())
        return str(folder)


def markdown(table: bench.TrackedTable) -> str:
    """Return ``table`` in Markdown with its title above and its notes below; numbers have four significant digits."""
    rows = bench.markdown_table(table.header, [[_shown(cell) for cell in row] for row in table.rows])
    return "\n".join([table.title, "", rows, "", *(f"* {note}" for note in table.notes)])


def _shown(cell: str | float | None) -> str:
    if isinstance(cell, str):
        return cell
    return "" if cell is None else f"{cell:.4g}"


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)


SPEC = bench.TrackerSpec(
    name="tensorboard",
    summary="event files, seen with: tensorboard --logdir DIR/tensorboard",
    open=TensorBoard,
    requires="multilabel-bench[tensorboard]",
    source="https://www.tensorflow.org/tensorboard",
)
