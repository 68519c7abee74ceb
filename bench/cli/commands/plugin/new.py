"""``bench plugin new``: a package to begin a plugin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

EXAMPLES = """Examples:

  bench plugin new near-best --kind model

  bench plugin new my-rnn --kind model --flavour sequence

  bench plugin new my-photographs --kind dataset"""


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What users will type.", show_default=False)],
    kind: Annotated[
        Literal["model", "dataset", "backbone", "metric", "tracker", "protocol", "report-section", "table-format"],
        typer.Option("--kind", help="What the plugin adds."),
    ] = "model",
    flavour: Annotated[
        Literal["scores", "sequence"],
        typer.Option("--flavour", help="Of a model: a score for each label, or label sequences."),
    ] = "scores",
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the package's folder is written.")] = Path(),
) -> None:
    """Write an installable package: pyproject, module, README and a test that passes at once."""
    from bench.errors import UsageError
    from bench.show.console import put
    from bench.testing.scaffold import write_plugin

    if flavour == "sequence" and kind != "model":
        raise UsageError(f"--flavour sequence: found --kind {kind}, allowed: --kind model")
    folder = write_plugin(name, "sequence" if flavour == "sequence" else kind, out)
    put(f"{folder}: written. Then:")
    for line in (f"pip install -e {folder}", f"bench plugin check {folder.name}", f"pytest {folder}"):
        put(f"  {line}")
