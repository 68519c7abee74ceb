"""``bench plugin check``: whether a plugin keeps its contract, check by check, with reason and remedy."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bench.cli.options import AsJson, DataRoot, Weights

EXAMPLES = """Examples:

  bench plugin check ./mine.py

  bench plugin check bench-asl

  bench plugin check coco --data-root DIR --json

  bench plugin check timm/resnet18 --set init=random"""


def check(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE",
            help="A plugin file, a distribution, or a model, data set, metric or any other part of a plugin.",
            show_default=False,
        ),
    ],
    *,
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="An option of what is checked.")
    ] = None,
    data_root: DataRoot = None,
    weights: Weights = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Passed checks too, with what they claim.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a plugin on small made-up data. Exit code 1: something does not hold; 2: there is no such plugin."""
    from bench.options import parse_assignments
    from bench.show.console import put_raw
    from bench.store.sealed import to_json
    from bench.testing import examinations

    parts = examinations(name, parse_assignments(sets or ()), root=data_root, weights=weights)
    outcomes = {f"{part.part.kind} '{part.part.name}'": part.outcomes() for part in parts}
    if as_json:
        put_raw(to_json([_entry(outcome) for found in outcomes.values() for outcome in found]))
    else:
        _print(outcomes, verbose)
    if any(outcome.state == "failed" for found in outcomes.values() for outcome in found):
        raise typer.Exit(1)


def _entry(outcome: Any) -> dict[str, str]:
    check = outcome.check
    return {
        "part": outcome.part,
        "check": check.name,
        "state": outcome.state,
        "claim": check.claim,
        "told": outcome.told,
        "remedy": check.remedy,
    }


def _print(outcomes: dict[str, list[Any]], verbose: bool) -> None:
    from bench.show.console import put, say

    for number, (part, found) in enumerate(outcomes.items()):
        if number:
            put()
        say(part, "bold")
        wide = max(len(outcome.check.name) for outcome in found)
        for outcome in found:
            mark = {"passed": "pass", "failed": "FAIL", "not run": "  - "}[outcome.state]
            if outcome.state == "passed" and not outcome.told and not verbose:
                put(f"  {mark}  {outcome.check.name}")
                continue
            told = outcome.told or outcome.check.claim
            say(f"  {mark}  {outcome.check.name:<{wide}}  {told}", indent=10 + wide)
            if outcome.state == "failed":
                say(f"        {'':<{wide}}  Try: {outcome.check.remedy}", indent=10 + wide)
        counts = [
            (state, sum(outcome.state == state for outcome in found)) for state in ("passed", "failed", "not run")
        ]
        put("  " + ", ".join(f"{count} {state}" for state, count in counts if count))
