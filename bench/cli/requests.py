"""What ``bench run`` and ``bench compare`` ask for alike: a run's request, and the options that repeat its place."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from bench.cli.options import STORE

if TYPE_CHECKING:
    from bench.records import RunRequest


def run_request(options: Mapping[str, Any], sets: Sequence[str], **changes: Any) -> RunRequest:
    """Return the request that a command's ``options`` make: those named as its fields, where they were given.

    ``sets`` are the run's own, without its trackers'; ``changes`` go before ``options``.
    """
    from bench.records import RunRequest

    named = {field.name: options[field.name] for field in fields(RunRequest) if options.get(field.name) is not None}
    return RunRequest(**named | {"sets": tuple(sets)} | changes)


def same_place(request: RunRequest) -> str:
    """Return the options that a following command on the same data and features needs."""
    given = {
        "--dataset": request.dataset,
        "--data-root": request.data_root,
        "--train-split": request.train_split,
        "--test-split": request.test_split,
        "--name": request.name,
        "--backbone": request.backbone,
        "--weights": request.weights,
        "--engine": request.engine if request.engine != "auto" else None,
        "--out": request.out if request.out != STORE else None,
    }
    words = [f"{option} {shlex.quote(str(value))}" for option, value in given.items() if value]
    words += [f"--set {shlex.quote(text)}" for text in request.sets if text.startswith(("dataset.", "backbone."))]
    return " ".join(words)
