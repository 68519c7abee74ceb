"""Windows of a picture, each put through another network: ``crops/vgg16``, ``crops/timm/resnet18``.

The windows are the whole picture, then grids of 2 x 2, 3 x 3, ... squares that overlap by half a side: g x g of them
have a side of 2 / (g + 1). The picture is read at twice the network's side: windows of half a side lose nothing.
A model that takes maps is given a map of one column whose places are the windows; one that takes vectors is given each
feature's maximum over them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bench import MAP_OPTION, Backbone, BackboneRequest, BackboneSpec, Option, UsageError, unknown
from bench_backbones import digits_cnn, timm_models, torchvision_models

if TYPE_CHECKING:
    pass

ENLARGED = 2
"""Side of the picture that windows are cut from, in sides of the network's input."""

INNER = {spec.name: spec for spec in (*torchvision_models.SPECS, timm_models.SPEC, digits_cnn.SPEC)}
GRID = Option(
    "grid", 3, "squares a side of the finest grid of windows; 1: the whole picture alone", minimum=1, maximum=6
)


def build(request: BackboneRequest) -> Backbone:
    """Return the network that the variant names, looking at windows. Raises ``UsageError`` for an unknown name."""
    from bench_backbones.windows import Windows, boxes

    name, _, variant = request.variant.partition("/")
    if name not in INNER:
        raise unknown("backbone to look at windows with", name, INNER, "Try: --backbone crops/timm/resnet18")
    spec = INNER[name]
    if spec.family != bool(variant):
        raise UsageError(f"backbone 'crops/{request.variant}': allowed: {', '.join(_forms())}")
    taken = {option.name: request.options.get(option.name, option.default) for option in spec.options}
    inner = spec.build(replace(request, options=taken | {MAP_OPTION.name: "vector"}, variant=variant))
    plain, grid = inner.preprocessing, int(request.options["grid"])
    side = ENLARGED * plain.size
    scaled = replace(plain, size=side, resize=ENLARGED * plain.resize)
    as_map = request.options[MAP_OPTION.name] == "map"
    windows = boxes(side, grid)
    return replace(
        inner,
        name=f"crops/{request.variant}",
        module=Windows(inner.module, windows, plain.size, as_map=as_map).eval(),
        preprocessing=scaled,
        architecture=f"crops grid={grid} of {inner.architecture}",
        feature_map=(inner.dimensions, len(windows), 1) if as_map else None,
    )


def _forms() -> list[str]:
    return [f"crops/{spec.name}{'/NAME' if spec.family else ''}" for spec in INNER.values()]


def _options() -> tuple[Option, ...]:
    """Return the grid and what the networks take of a user, but for the recipe of digits-cnn."""
    found = {option.name: option for name, spec in INNER.items() if name != "digits-cnn" for option in spec.options}
    return (GRID, *found.values())


SPEC = BackboneSpec(
    name="crops",
    summary="windows of a picture, each put through another network, as in crops/timm/resnet18; for hcp",
    build=build,
    options=_options(),
    family=True,
    source="Wei et al., CNN: Single-label to Multi-label, arXiv 1406.5726, 2014, with a grid for proposals",
)
