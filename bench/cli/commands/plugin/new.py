"""``bench plugin new``: a package to begin a plugin with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

Kind = Literal[
    "model",
    "dataset",
    "backbone",
    "metric",
    "tracker",
    "protocol",
    "policy",
    "decoder",
    "report-section",
    "table-format",
]
Flavour = Literal["scores", "sequence", "estimator", "maps", "attention"]

EXAMPLES = """Examples:

  bench plugin new near-best --kind model

  bench plugin new my-rnn --kind model --flavour sequence

  bench plugin new my-chain --kind model --flavour estimator

  bench plugin new my-photographs --kind dataset"""


def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What users will type.", show_default=False)],
    kind: Annotated[
        Kind,
        typer.Option("--kind", metavar="KIND", help=f"What the plugin adds: {', '.join(get_args(Kind))}."),
    ] = "model",
    flavour: Annotated[
        Flavour,
        typer.Option(
            "--flavour",
            metavar="NAME",
            help="Of a model: scores (one a label), sequence (labels one after another), estimator (of scikit-learn),"
            " maps (scores from feature maps), attention (sequences that look at feature maps).",
        ),
    ] = "scores",
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the package's folder is written.")] = Path(),
) -> None:
    """Write an installable package: pyproject, module, README and a test that passes at once."""
    from bench.errors import UsageError
    from bench.show.console import put
    from bench.testing.scaffold import first_command, write_plugin

    if flavour != "scores" and kind != "model":
        raise UsageError(f"--flavour {flavour}: found --kind {kind}, allowed: --kind model")
    begun = kind if flavour == "scores" else flavour
    folder = write_plugin(name, begun, out)
    put(f"{folder}: written. Then:")
    install, test = (
        shlex.join(words) for words in (["pip", "install", "-e", f"{folder}[test]"], ["pytest", str(folder)])
    )
    for line in (install, f"bench plugin check {folder.name}", test, first_command(folder, begun)):
        put(f"  {line}")
