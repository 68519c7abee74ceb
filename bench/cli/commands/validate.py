"""``bench validate``: whether stored results are what they claim."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.choose import run_folders
from bench.cli.options import STORE, AsJson, MovedData, MovedWeights, RunNames, RunsFolder
from bench.show.console import put, put_raw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.store.validate import Verdict

EXAMPLES = """Examples:

  bench validate

  bench validate --runs elsewhere/runs --json

  bench validate runs/digit-scenes 9b2f

  bench validate 9b2f --recompute --data-root /data/voc"""


def validate(  # noqa: PLR0917 - the parser passes options by name
    runs: RunNames = None,
    store: RunsFolder = STORE,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Also predict again, from the stored weights and the data set.")
    ] = False,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Also train again; equal to the bit on the machine that made the run.")
    ] = False,
    data_root: MovedData = None,
    weights: MovedWeights = None,
    as_json: AsJson = False,
) -> None:
    """Check that stored runs are what they claim, and say of each by what it was checked.

    By its folder alone, without torch or data set: files, key and place, what is bound to the key, label sets, every
    measure, training curves. Scores that a model never gave are found by --recompute only. docs/reliability.md says
    what finds what. A run older than a metric was stored without it, which is no lie.

    Exit code 1: a run is not what it claims. 2: a mistake in what was asked for, or a run that cannot be recomputed.
    """
    from bench.errors import UsageError
    from bench.store.following import runs_of
    from bench.store.validate import verdict

    if (data_root or weights) and not (recompute or retrain):
        raise UsageError("--data-root and --weights are for --recompute. Try: bench validate --recompute")
    folders = run_folders(runs, store)
    if recompute or retrain:
        from bench.recompute.run import recompute as again

        found = [again(folder, data_root, weights, retrain=retrain) for folder in folders]
    else:
        found = [verdict(folder) for folder in folders]
    if as_json:
        _print_json(found)
    else:
        command = shlex.join(["bench", "validate", *(runs or []), "--recompute"])
        _print(found, "" if recompute or retrain else command + runs_of(store))
    if any(one.faults for one in found):
        raise typer.Exit(1)
    if (recompute or retrain) and any(one.state == "done" and one.level == "folder" for one in found):
        raise typer.Exit(2)


def _print_json(found: Sequence[Verdict]) -> None:
    from bench.store.sealed import to_json

    rows = [
        {
            "folder": str(one.folder),
            "state": one.state,
            "level": one.level,
            "faults": one.faults,
            "unmeasured": one.unmeasured,
            "notes": one.notes,
        }
        for one in found
    ]
    put_raw(to_json({"runs": rows, "sound": not any(one.faults for one in found)}))


def _print(found: Sequence[Verdict], again: str) -> None:
    """Print a verdict for each run, and ``again``, the command that predicts, where that was not done."""
    from bench.store.validate import NOT_CHECKED

    for one in found:
        older = f" (not measured then: {', '.join(one.unmeasured)})" if one.unmeasured else ""
        put(f"{one.folder}: {one.state} [{one.level}], {'; '.join(one.faults) or 'as it claims'}{older}")
        for note in one.notes:
            put(f"  {note}")
    unseen = sum("".join(one.faults).startswith(NOT_CHECKED) for one in found)
    lying = sum(bool(one.faults) for one in found) - unseen
    not_checked = f", {unseen} not checked" if unseen else ""
    levels = [one.level for one in found]
    counts = ", ".join(f"{levels.count(level)} {level}" for level in dict.fromkeys(levels))
    put(f"{len(found)} run{'s' * (len(found) != 1)}, {lying} not what they claim{not_checked}; checked: {counts}")
    if levels.count("folder") == len(found) and not lying + unseen and again:
        put(f"Scores and weights were taken as they are stored. To predict again: {again}")
