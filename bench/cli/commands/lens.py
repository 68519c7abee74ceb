"""``bench lens``: one stored run under every disputed definition."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.choose import one_run
from bench.cli.options import STORE, AsJson, RunName, RunsFolder
from bench.show.console import print_table, put, put_raw, say

EXAMPLES = """Examples:

  bench lens 9b2fb905

  bench lens 9b2fb905 --sources

  bench lens runs/digit-scenes/cnn-rnn/9b2fb9059dedec9a --json"""


def lens(
    run: RunName,
    store: RunsFolder = STORE,
    where: Annotated[bool, typer.Option("--sources", help="List file and line of each source that is named.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what one run's stored predictions are worth under every definition in use, and who uses which.

    Needs neither torch nor the data set. The run's own protocol is marked with *.
    """
    from bench.evaluation.lens import to_json, views
    from bench.store.sealed import to_json as render

    folder = one_run(run, store)
    outcome = folder.read_outcome()
    found, protocol = views(outcome), outcome.protocol
    if as_json:
        record = {"run": str(folder.path), "protocol": protocol.name, "views": [to_json(view) for view in found]}
        put_raw(render(record))
        return
    summary = folder.summary()
    model, dataset = summary.config["model"]["name"], summary.dataset
    rows = []
    for view in found:
        value = "" if view.value != view.value else f"{100 * view.value:.2f}"
        note = f" ({view.note})" if view.note else ""
        rows.append((view.metric, value, "*" if view.own else "", view.definition + note, view.used_by))
    print_table(
        ("metric", "value", "", "definition", "used by"),
        rows,
        title=f"{model} on {dataset}, {protocol.name}: {folder.path}",
        texts=("", "definition", "used by"),
    )
    put()
    say("* the definition of the run's own protocol. Definitions: docs/metrics.md")
    if where:
        say("Read in:")
        for place in dict.fromkeys(place for view in found for place in view.read_in):
            say(f"  {place}")
    else:
        say("File and line of each source: add --sources")
