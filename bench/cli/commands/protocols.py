"""``bench protocols``: every choice that changes a number, under the versioned name that a result carries."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.completion import names_of
from bench.show.console import print_table, put_raw
from bench.store.sealed import to_json

EXAMPLES = """Examples:

  bench protocols

  bench protocols voc2007@1 coco-top3@1

  bench protocols --json"""


def protocols(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAMES",
            help="Protocols to show with all their choices, side by side.",
            autocompletion=names_of("protocols"),
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all choices.")] = False,
) -> None:
    """List the evaluation protocols; with names, show their choices. docs/metrics.md explains each."""
    from dataclasses import asdict

    from bench.evaluation import protocols as known

    chosen = [known.get(name) for name in names] if names else known.named()
    choices = [asdict(protocol) for protocol in chosen]
    if as_json:
        put_raw(to_json(choices))
        return
    if names:
        header = ("choice", *(protocol.name for protocol in chosen))
        rows = [[choice, *(str(values[choice]) for values in choices)] for choice in choices[0] if choice != "name"]
    else:
        header = ("protocol", "what it is")
        rows = [[protocol.name, protocol.summary] for protocol in chosen]
        rows.append(["top<K>@1", f"for every K: {known.GENERIC.format(k='K')}"])
    print_table(header, rows, texts=header[1:])
