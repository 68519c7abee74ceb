"""``bench validate``: whether stored results are what they claim."""

from __future__ import annotations

import typer

from bench.cli.choose import run_folders
from bench.cli.options import STORE, AsJson, RunNames, RunsFolder

EXAMPLES = """Examples:

  bench validate

  bench validate --runs elsewhere/runs --json

  bench validate runs/digit-scenes 9b2f"""


def validate(
    runs: RunNames = None,
    store: RunsFolder = STORE,
    as_json: AsJson = False,
) -> None:
    """Check files and keys, and compute every measure again from what is stored. Exit code 2 if any run lies.

    A run older than a metric was stored without it, which is no lie. Needs neither torch nor the data sets.
    """
    from bench.store.sealed import to_json
    from bench.store.validate import validate as verdicts

    found = verdicts(run_folders(runs, store))
    if as_json:
        rows = [
            {"folder": str(one.folder), "state": one.state, "faults": one.faults, "unmeasured": one.unmeasured}
            for one in found
        ]
        print(to_json({"runs": rows, "sound": not any(one.faults for one in found)}), end="")
    else:
        for one in found:
            older = f" (not measured then: {', '.join(one.unmeasured)})" if one.unmeasured else ""
            print(f"{one.folder}: {one.state}, {'; '.join(one.faults) or 'as it claims'}{older}")
        lying = sum(bool(one.faults) for one in found)
        print(f"{len(found)} runs, {lying} not what they claim")
    if any(one.faults for one in found):
        raise typer.Exit(2)
