"""Predictions of a script's own model as a stored run: the same as ``bench score``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.assembly import open_anew
from bench.errors import UsageError
from bench.external.align import Reading
from bench.external.given import Names, Source
from bench.external.score import Predictions, open_and_read, store_scores
from bench.notebook.running import as_request
from bench.notebook.stored import StoredRun
from bench.options import OptionValue

if TYPE_CHECKING:
    Listed = str | Path | Sequence[str] | Sequence[int] | None


def score(
    scores: Any,
    dataset: str,
    *,
    kind: str,
    name: str,
    ids: Listed = None,
    labels: Listed = None,
    validation: Any = None,
    validation_ids: Listed = None,
    match: str = "exact",
    absent: float | None = None,
    several: str = "",
    options: Mapping[str, OptionValue] | None = None,
    protocol: str = "",
    policy: str = "",
    data_root: str | Path | None = None,
    train_split: str | None = None,
    test_split: str | None = None,
    seed: int = 0,
    out: str | Path = "runs",
    cache: str | Path | None = None,
) -> StoredRun:
    """Return the run of somebody's own ``scores`` of the test images, checked, measured and stored under ``out``.

    ``scores`` is the path of a file that ``bench score`` reads; or a matrix, a tensor or a list of tensors of batches,
    (images, labels), with its ``ids`` and ``labels``; or a pandas frame, index ids and columns labels; or a mapping of
    image id to {label: score} or to a list of labels. ``kind`` is "probability", "logit", "score" (it only ranks) or
    "labels" (label sets). ``validation`` is the same of the validation images, by which policies are chosen. The
    other keywords are those of ``bench score``. Raises ``BenchError`` for whatever is missing, double, unknown or in
    doubt, and then stores nothing.
    """
    asked = locals()  # by the names of a request's fields, of which the row's name is the model
    if several not in {"", "max"}:
        raise UsageError(f"several: found {several!r}, allowed: 'max'")
    if not isinstance(name, str):
        raise UsageError(f"name: found {name!r}, allowed: text")
    reading = Reading(kind, match, absent, largest=several == "max")
    request = as_request(asked, model=name, name="")

    def given(known: tuple[str, ...]) -> Predictions:
        test = _source(scores, _names(known, ids, labels))
        judged = None if validation is None else _source(validation, _names(known, validation_ids, labels))
        return Predictions(test, judged)

    open_anew()
    opened, predictions, clock = open_and_read(request, given)
    return StoredRun(store_scores(opened, reading, predictions, clock))


def _source(value: Any, names: Names) -> Source:
    from bench.external import arrays_at_hand, read

    return read.read(Path(value), names) if isinstance(value, str | Path) else arrays_at_hand.source(value, names)


def _names(known: tuple[str, ...], ids: Listed, labels: Listed) -> Names:
    from bench.external import read

    files = read.names_from(known, _path(ids), _path(labels))
    return replace(
        files,
        ids=_listed(ids, "ids") if files.ids is None else files.ids,
        labels=_listed(labels, "labels") if files.labels is None else files.labels,
    )


def _path(value: Listed) -> Path | None:
    return Path(value) if isinstance(value, str | Path) else None


def _listed(value: Listed, what: str) -> tuple[str, ...] | None:
    from bench.external import arrays_at_hand

    return None if value is None or isinstance(value, str | Path) else arrays_at_hand.as_texts(value, what)
