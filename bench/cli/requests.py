"""What ``bench run`` and ``bench compare`` ask for alike: a run's request, and the command that goes on from it."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli.options import STORE, TRACKED
from bench.errors import UsageError
from bench.remote.copies import shown
from bench.system import interrupts

if TYPE_CHECKING:
    from bench.records import RunRequest

GLOBAL_VALUES, GLOBAL_FLAGS = ("--plugin", "--without"), ("--strict", "--quiet", "-q")
"""Options of every command, with a value and without."""


def run_request(options: Mapping[str, Any], sets: Sequence[str], **changes: Any) -> RunRequest:
    """Return the request that a command's ``options`` make: those named as its fields, where they were given.

    ``sets`` are the run's own, without its trackers'; ``changes`` go before ``options``. Raises ``UsageError`` where
    the data set is called by a name that runs were given, which is none to read images by.
    """
    from bench.records import RunRequest

    named = {field.name: options[field.name] for field in fields(RunRequest) if options.get(field.name) is not None}
    request = RunRequest(**named | {"sets": tuple(sets)} | changes)
    _refuse_given_name(request)
    return request


def _refuse_given_name(request: RunRequest) -> None:
    from bench.plugins import installed
    from bench.store.runs import find

    try:
        installed().dataset(request.dataset)
    except UsageError:
        if held := find(request.out, request.dataset):
            own = held[0].config["dataset"]["name"]
            raise UsageError(
                f"--dataset: '{request.dataset}' is what runs in {request.out} call a data set '{own}'."
                f" Try: --dataset {own}, as it was run"
            ) from None


def data_words(request: RunRequest) -> str:
    """Return the options that a following command on the same data set needs."""
    words = [f"{option} {shlex.quote(str(value))}" for option, value in _of_data(request).items() if value]
    return " ".join([*words, *(f"--set {shlex.quote(text)}" for text in request.sets if text.startswith("dataset."))])


def _of_data(request: RunRequest) -> dict[str, Any]:
    return {
        "--dataset": request.dataset,
        "--data-root": request.data_root,
        "--train-split": request.train_split,
        "--test-split": request.test_split,
        "--name": request.name,
    }


def comparison_of(request: RunRequest, models: Sequence[str], options: Mapping[str, Any]) -> str:
    """Return the ``bench compare`` of a run's model and ``models`` that repeats every option that the run was given.

    ``options`` are what the parser has read of ``bench run``, its trackers' settings in ``sets`` too.
    """
    compared = [*([] if request.model in models else [request.model]), *models]
    given = {
        **_of_data(request),
        "--backbone": request.backbone,
        "--weights": request.weights,
        "--finetune": request.finetune,
        "--protocol": request.protocol,
        # The others may be of a kind that has no such policy.
        "--policy": request.policy and f"{request.model}={request.policy}",
        # Its seeds are counted from 0.
        "--seeds": request.seed + 1 if request.seed else None,
        "--trials": request.trials,
        "--device": request.device if request.device != "cpu" else None,
        "--engine": request.engine if request.engine != "auto" else None,
        "--out": shown(request.out) if request.out != STORE else None,
        "--cache": None if _is_default(request.cache) else shown(request.cache),
        "--track": options.get("track"),
        "--track-out": options.get("track_out", TRACKED) if options.get("track_out", TRACKED) != TRACKED else None,
    }
    words = [f"{option} {shlex.quote(str(value))}" for option, value in given.items() if value not in (None, "")]
    sets = options.get("sets") or request.sets
    words += [f"--set {shlex.quote(text)}" for text in sets]
    return " ".join([*typed_before_any("bench"), "compare", *words, "--models", shlex.quote(",".join(compared))])


def _is_default(cache: Path) -> bool:
    """Return whether ``cache`` need not be named; a user without a home has no other."""
    from bench.system.files import default_cache

    with contextlib.suppress(UsageError):
        return cache == default_cache()
    return False


def typed_before_any(command: str) -> list[str]:
    """Return ``command`` and what was typed that holds for any: plugins added and left out; not ``--debug``.

    Such options are read from the command line as it was typed; from Python there are none.
    """
    words, waiting = [command], iter(interrupts.typed())
    for word in waiting:
        name, equals, value = word.partition("=")
        if name in GLOBAL_VALUES:
            words.append(f"{name} {shlex.quote(value if equals else next(waiting, ''))}")
        elif word in GLOBAL_FLAGS:
            words.append(word)
    return words
