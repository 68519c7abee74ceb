"""``bench choose``: which stored model to take for a goal."""

from __future__ import annotations

import typer

from bench.cli.choose import none_found, run_summaries
from bench.cli.options import STORE, AsJson, Cache, Goals, OneDataset, RunNames, RunsFolder
from bench.show.console import put, put_raw

EXAMPLES = """Examples:

  bench choose

  bench choose --for mAP --for 'latency<20ms'

  bench choose --dataset csv --for 'precision>=0.9'

  bench choose 1 2 5 --for O-F1 --for 'size<50MB' --json"""


def choose(  # noqa: PLR0917 - the parser passes options by name
    names: RunNames = None,
    goals: Goals = None,
    store: RunsFolder = STORE,
    dataset: OneDataset = "",
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Recommend one of the stored models for a goal: its policy, thresholds and cost, and what is as good.

    The choice is made on validation scores, never on test; what it is worth is told on test. Exit code 1: nothing fits.
    """
    from bench.contracts.goals import parse_goal
    from bench.errors import StoreError
    from bench.show.recommendation import recommend, to_json
    from bench.show.recommended import print_recommendation
    from bench.show.tables import by_key
    from bench.store import sealed
    from bench.store.resamples import kept_in
    from bench.store.runs import finished_summaries
    from bench.system.files import default_cache
    from bench.system.notes import note

    asked = [parse_goal(text) for text in goals or ()]
    groups, found = by_key(finished_summaries(run_summaries(names, store, dataset))), []
    if not groups:
        raise StoreError(none_found(store, dataset, "finished"))
    for group in groups:
        try:
            found.append(recommend(group, asked, kept_in(cache or default_cache())))
        except StoreError as error:  # runs by what a plugin was before its edit keep nothing from the others
            if len(groups) < 2:
                raise
            note(f"nothing recommended of {len(group)} runs on {group[0].dataset}: {error}")
    if as_json:
        put_raw(sealed.to_json([to_json(one) for one in found]))
    else:
        for number, one in enumerate(found):
            if number:
                put()
            print_recommendation(one)
    if not found or any(one.chosen is None for one in found):
        raise typer.Exit(1)
