"""``bench thresholds``: thresholds of stored runs for a goal, chosen on validation, and what they give on test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.choose import finished_folders, run_folders
from bench.cli.options import STORE, AsJson, Cache, RunsFolder
from bench.show.console import put, put_raw, say

if TYPE_CHECKING:
    from bench.store.run_folder import RunFolder

EXAMPLES = """Examples:

  bench thresholds 4f1c09 --for 'precision>=0.9'

  bench thresholds 4f1c09 --for 'precision>=0.9' --per-label

  bench thresholds 4f1c09 --for f1 --for 'dog:recall>=0.95' --calibrate isotonic

  bench export 4f1c09 --out model"""


def thresholds(  # noqa: PLR0917 - the parser passes options by name
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUNS", help="Rows of bench runs, first digits of keys, or folders."),
    ],
    goals: Annotated[
        list[str] | None,
        typer.Option(
            "--for",
            metavar="GOAL",
            help="precision>=0.9, recall>=0.8, or f1, the best; LABEL:GOAL for one label; repeatable.",
        ),
    ] = None,
    per_label: Annotated[
        bool, typer.Option("--per-label", help="The goal is asked of each label, not of all together.")
    ] = False,
    calibrate: Annotated[
        str,
        typer.Option("--calibrate", metavar="HOW", help="Also probabilities of scores: temperature or isotonic."),
    ] = "",
    unreached: Annotated[
        str,
        typer.Option(
            "--unreached",
            metavar="WHAT",
            help="A label whose precision no threshold reaches: never predicted, or the best there is (never, best).",
        ),
    ] = "never",
    store: RunsFolder = STORE,
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Choose thresholds for a goal on a run's stored validation scores, and store them as a run beside it.

    Nothing is trained or predicted again, and nothing is chosen on test: what the goal gave there is told.
    """
    from bench.contracts.goals import parse_goal, threshold_goals
    from bench.errors import StoreError, UsageError
    from bench.show.recommended import use
    from bench.show.thresholds import lines, table
    from bench.store.derived import derive
    from bench.store.external import of_config
    from bench.store.goal_thresholds import of_run
    from bench.store.resamples import kept_in
    from bench.store.sealed import to_json
    from bench.system.files import default_cache

    if not goals and not calibrate:
        raise UsageError("--for: found none, allowed: a goal. Try: --for 'precision>=0.9'")
    if unreached not in {"never", "best"}:
        raise UsageError(f"--unreached: found '{unreached}', allowed: never, best")
    asked = [parse_goal(text) for text in goals or ()]
    policy = threshold_goals(asked, per_label=per_label, calibration=calibrate, best=unreached == "best").text
    folders = run_folders(runs, store)
    finished = finished_folders(folders)
    made: dict[Path, RunFolder] = {}
    for folder in finished or folders:
        if not folder.lists("validation"):
            remedy = ". Try: bench score with --validation FILE" if of_config(folder.config) else ""
            raise StoreError(
                f"{folder.path} holds no scores of validation images, so no threshold can be chosen{remedy}"
            )
        derived = derive(folder, policy)
        made[derived.path] = derived
    found = {folder.path: of_run(folder, kept_in(cache or default_cache())) for folder in made.values()}
    if as_json:
        put_raw(to_json([{"key": made[path].key, "folder": str(path), **one.to_json()} for path, one in found.items()]))
        return
    for number, (path, one) in enumerate(found.items()):
        if number:
            put()
        config = made[path].config
        model = f"{config['model']['name']} seed {config['seed']}"
        on = f"chosen on {one.images:,} validation images"
        table(one, f"{model}, {one.goals.text}: thresholds on scores of kind {one.score_kind}, {on}")
        for line in lines(one):
            say(line, indent=2)
        put(f"\nrun folder  {path}")
        put(f"next        {use(made[path])}")
        if of_config(config) is not None:
            say("            for your own code, the thresholds as JSON: the same with --json", indent=12)
