"""``bench data speed``: how fast images come to a backbone, against torchvision's DataLoader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.datasets import NamedDataset, open_named
from bench.cli.options import DATA, AsJson, BackboneName, DataRoot, Device, Engine, TestSplit, TrainSplit, Weights
from bench.show.console import print_table, put, put_raw, say

if TYPE_CHECKING:
    from bench.speed.loading import Loading

EXAMPLES = """Examples:

  bench data speed csv --data-root my-images

  bench data speed voc2007 --data-root voc --backbone timm/resnet18 --images 512"""


def speed(  # noqa: PLR0917 - the parser passes options by name
    name: NamedDataset,
    data_root: DataRoot = None,
    backbone: BackboneName = "",
    weights: Weights = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="An option of dataset.NAME or backbone.NAME; repeatable. See: bench list --options",
            rich_help_panel=DATA,
        ),
    ] = None,
    train_split: TrainSplit = None,
    test_split: TestSplit = None,
    images: Annotated[
        int, typer.Option("--images", min=0, help="Images of train read in each turn; 0: two batches for each core.")
    ] = 0,
    device: Device = "cpu",
    engine: Engine = "auto",
    as_json: AsJson = False,
) -> None:
    """Time our loader, torchvision's DataLoader, the backbone, and all of it together, turn by turn on train's images.

    Rates are medians of one run on this machine. Pixels are compared with torchvision's first.
    """
    import os
    from dataclasses import asdict

    from bench import plugins
    from bench.assembly import make_backbone
    from bench.contracts import BackboneRequest
    from bench.model.engine import choose
    from bench.options import parse_assignments, resolve
    from bench.speed.loading import compare
    from bench.store.sealed import to_json
    from bench.system.environment import environment
    from bench.system.files import default_cache
    from bench.system.progress import QUIET_VARIABLE

    os.environ[QUIET_VARIABLE] = "1"  # a bar would be timed with what it counts
    registry = plugins.installed()
    found, variant = registry.backbone(backbone or registry.dataset(name).spec.backbone)
    prefix = "backbone."
    given = parse_assignments(sets or [])
    of_backbone = {key.removeprefix(prefix): value for key, value in given.items() if key.startswith(prefix)}
    options = resolve(found.spec.options, of_backbone, f"backbone '{found.spec.name}'", prefix)
    others = [text for text in sets or [] if not text.startswith(prefix)]
    dataset = open_named(name, data_root, others, (train_split, test_split))
    built = make_backbone(found, BackboneRequest(options, weights, default_cache(), variant))
    cache = default_cache() / "features"
    measured = compare(dataset.train, choose(built, engine, device, cache), cache, images=images, device=device)
    if as_json:
        put_raw(to_json({"environment": environment(), "loading": asdict(measured)}))
    else:
        _print(measured)


def _print(measured: Loading) -> None:
    from bench.speed.loading import LOADER, WHOLE

    say(
        f"{measured.split}: pictures of {measured.width}x{measured.height}, to {measured.size} pixels for"
        f" {measured.backbone}; batches of {measured.batch_size}, {measured.cores} cores, files in memory",
        "bold",
    )
    rows = [
        (
            rate.method,
            f"{rate.images:,}",
            f"{rate.per_second.median:,.0f}",
            f"{rate.per_second.q1:,.0f}-{rate.per_second.q3:,.0f}",
            f"{rate.ratio:.2f}",
        )
        for rate in measured.rates
    ]
    print_table(("way", "images", "images/s", "quartiles", "times ours"), rows)
    put()
    say(
        f"pixels: {measured.equal:,} of {measured.compared:,} images equal torchvision's to the bit;"
        f" largest difference {measured.largest_difference:.2g} levels of 255"
    )
    loader, whole, backbone = measured.rate(LOADER), measured.rate(WHOLE), measured.network
    slower = "the backbone" if loader > backbone else "reading the images"
    say(
        f"bottleneck: {slower}; the loader is {loader / backbone:.2g} times as fast as the backbone,"
        f" and together they reach {100 * whole / min(loader, backbone):.0f} % of the slower one"
    )
