"""``bench validate``: whether stored results are what they claim."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """Examples:

  bench validate runs

  bench validate runs --json"""


def validate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of stored runs.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check files and keys, and compute every measure again from what is stored. Exit code 2 if any run lies.

    A run older than a metric was stored without it, which is no lie. Needs neither torch nor the data sets.
    """
    from bench.errors import StoreError
    from bench.store.sealed import to_json
    from bench.store.validate import validate as verdicts

    found = verdicts(folder)
    if not found:
        raise StoreError(f"no run under {folder}. Try: bench validate DIR, where DIR is what --out was")
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
