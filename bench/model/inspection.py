"""What a reader wants to see of a run beside its numbers: test images, search trees, embeddings, attention.

Computed once, when the run has its model, so that figures and reports need neither torch nor data set.
The images are the same for every run on the same test part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from bench.contracts import Backbone, StepNetwork
from bench.data.preprocess import preprocess
from bench.data.thumbnails import thumbnail
from bench.decode.search import Conditional, LabelPath, NextLabel, Prefixes, beam_search, rank
from bench.errors import NotRun
from bench.guard import reason
from bench.model.networks import searchable, sees_every_step
from bench.records import Exhibits, Features, FloatArray, LabelSets, LabelSpace, SearchOptions, Split

if TYPE_CHECKING:
    import torch

Made = TypeVar("Made")

Searchable = tuple[StepNetwork, FloatArray, FloatArray]
"""Step network, image terms and start states of the images that are shown, as a search takes them."""

GALLERY = 60
"""Test images shown, drawn at random."""
TREES = 6
"""Images whose search is stored step by step."""
READABLE = 3
"""Length of the sequences that are shown first."""
ATTENDED = 4
"""Images whose attention is stored."""
MAP_SIDE = 56
"""Side of an attention map."""


def gallery_rows(images: int) -> list[int]:
    """Return which test images are shown, ascending; it depends on their number alone."""
    return sorted(np.random.default_rng(0).permutation(images)[:GALLERY].tolist())


def inspect(
    split: Split,
    model: Any,
    features: Features,
    backbone: Backbone,
    *,
    options: SearchOptions | None,
    label_sets: LabelSets | None,
) -> Exhibits:
    """Return the gallery of ``split`` and, of a model with ``label_sets``, trees, label space and attention.

    What cannot be made is a note with its reason: a picture must not cost a run its numbers.
    """
    rows = gallery_rows(len(split))
    notes: list[str] = []
    pictures = _or_note("gallery", lambda: {row: thumbnail(split, row) for row in rows}, notes) or {}
    if options is None or label_sets is None:
        return Exhibits(pictures, notes=tuple(notes))
    shown = Features(tuple(features.ids[row] for row in rows), np.ascontiguousarray(features.values[rows]), "")
    # A tree of a few labels has something to show and can still be read.
    lengths = (label_sets.sequences[rows] >= 0).sum(axis=1)
    chosen = np.argsort(np.abs(lengths - READABLE), kind="stable")
    terms_of = partial(searchable, model, shown)
    first = {place: rows[place] for place in chosen[:TREES].tolist()}
    trees = _or_note("search trees", lambda: _trees(terms_of(), first, options, label_sets), notes) or ()
    space = _or_note("label space", lambda: _label_space(terms_of()), notes)

    def attended() -> dict[int, FloatArray]:
        shown_rows = {place: rows[place] for place in chosen[:ATTENDED].tolist()}
        return _attention_maps(split, model, backbone, terms_of(), chosen=shown_rows, label_sets=label_sets)

    return Exhibits(pictures, trees, space, _or_note("attention", attended, notes) or {}, tuple(notes))


def _or_note(what: str, make: Callable[[], Made], notes: list[str]) -> Made | None:
    """Return what ``make`` makes, or ``None`` and a note of why there is none."""
    try:
        return make()
    except Exception as error:
        notes.append(f"no picture of {what}: {reason(error)}")
        return None


def _trees(
    terms: Searchable,
    chosen: Mapping[int, int],
    options: SearchOptions,
    label_sets: LabelSets,
) -> tuple[dict[str, Any], ...]:
    """Return the search of each of ``chosen``, a shown image's place and its row of the test part, step by step."""
    network, image_term, starts = terms
    trees = []
    for place, row in chosen.items():
        prefixes = Prefixes(network, starts[place if network.sees_image else 0])
        conditional = Conditional(prefixes, image_term[place], options)
        trees.append({"row": row, **search_tree(conditional, _answer(label_sets, row, network))})
    return tuple(trees)


def _label_space(terms: Searchable) -> LabelSpace:
    network, image_term, starts = terms
    return LabelSpace(labels=network.output[:-1], images=image_term, start=Prefixes(network, starts[0]).term(()))


def _attention_maps(
    split: Split,
    model: Any,
    backbone: Backbone,
    terms: Searchable,
    *,
    chosen: Mapping[int, int],
    label_sets: LabelSets,
) -> dict[int, FloatArray]:
    """Return the attention of each of ``chosen``, a shown image's place and its row of the test part."""
    network, _, starts = terms
    maps = {}
    for place, row in chosen.items():
        prefixes = Prefixes(network, starts[place if network.sees_image else 0])
        label = int(label_sets.sequences[row, 0]) if label_sets.sequences.shape[1] else -1
        seen = [(), (label,)] if label >= 0 else [()]
        pixels = preprocess(split.images.read(row), backbone.preprocessing)
        known = np.stack([prefixes.term(prefix) for prefix in seen])
        maps[row] = attention(backbone, model, network, pixels, known, prefixes=seen)
    return maps


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A ``NextLabel`` that remembers the prefixes that the search asked about, with what it was told."""

    told: NextLabel
    asked: dict[tuple[int, ...], Any] = field(default_factory=dict)

    @property
    def options(self) -> SearchOptions:
        return self.told.options

    @property
    def end(self) -> int:
        return self.told.end

    def __call__(self, prefix: tuple[int, ...]) -> Any:
        self.asked[prefix] = self.told(prefix)
        return self.asked[prefix]


def _answer(label_sets: LabelSets, row: int, network: StepNetwork) -> tuple[int, ...]:
    """Return the path that was the answer for the image in ``row``, END last where it was emitted."""
    sequence = label_sets.sequences[row]
    ending = (len(network.output) - 1,) if label_sets.complete[row] else ()
    return (*map(int, sequence[sequence >= 0]), *ending)


def search_tree(conditional: NextLabel, answer: tuple[int, ...]) -> dict[str, Any]:
    """Return the beam search of one image: the labels extended in each round, its best path, and the answer.

    ``edges`` are (prefix, label, probability given the prefix, probability of the whole path, whether the search
    went on from it or ended there). Label ``conditional.end`` is END. ``answer`` is what the run answered: by exact
    search or a plugin's decoder it may be a path that the beam never saw, and its edges are there too. ``beam`` is the
    beam's best path.
    """
    width, end = conditional.options.beam_width, conditional.end
    recorded = _Recorded(conditional)
    candidates, live = beam_search(recorded)
    asked = recorded.asked
    ended = {path.labels for path in candidates}
    best: LabelPath = min(candidates or live, key=rank)
    answered = {answer[:length]: answer[length] for length in range(len(answer))}
    total: dict[tuple[int, ...], float] = {(): 0.0}
    edges = []
    for prefix in sorted({**asked, **answered}, key=len):
        step = asked[prefix] if prefix in asked else conditional(prefix)
        shown = np.argsort(-step, kind="stable")[:width].tolist() if prefix in asked else []
        if prefix in answered and answered[prefix] not in shown:
            shown.append(answered[prefix])
        for label in shown:
            if step[label] == -np.inf:
                continue
            path = (*prefix, label)
            total[path] = total.get(prefix, 0.0) + float(step[label])
            kept = path in ended or path in asked
            edges.append([prefix, label, math.exp(float(step[label])), math.exp(total[path]), kept])
    return {
        "edges": edges,
        "answer": list(answer),
        "beam": list(best.labels),
        "search": conditional.options.method,
        "end": end,
        "beam_width": width,
    }


def attention(
    backbone: Backbone,
    model: Any,
    network: StepNetwork,
    pixels: FloatArray,
    terms: FloatArray,
    *,
    prefixes: Sequence[tuple[int, ...]] = (),
) -> FloatArray:
    """Return what the label nodes see after each prefix: (2, prefixes, ``MAP_SIDE``, ``MAP_SIDE``) in [0, 1].

    The first of the two is the label scores, weighted by their probabilities, projected back through the frozen
    network to the pixels (absolute gradient); the second is Grad-CAM on its last feature map. ``pixels`` is
    (3, size, size), ``terms`` (prefixes, D). The image's features are the same at each step: only the weights
    of the projection change. Where every step sees the image, the terms of ``prefixes`` are projected back as well.
    """
    import torch

    grids: list[torch.Tensor] = []

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor) and output.ndim == 4 and output.shape[-1] > 1 and output.requires_grad:
            grids.append(output)

    module = backbone.module.to("cpu").eval()
    hooks = [part.register_forward_hook(keep) for part in module.modules() if not list(part.children())]
    model = model.to("cpu").eval()
    output, bias = torch.from_numpy(network.output), torch.from_numpy(network.bias)
    activate = {"identity": lambda x: x, "relu": torch.relu, "tanh": torch.tanh}[network.activation]
    try:
        image = torch.from_numpy(pixels[None].copy()).requires_grad_(True)
        with torch.enable_grad():
            features = module(image)
            seen = model.image_term(features)
            through = [torch.from_numpy(term) for term in terms]
            if sees_every_step(model):
                through = [_term(model, features, prefix, end=len(output) - 1) for prefix in prefixes]
            steps = [(activate(term + seen) @ output.T + bias)[:, :-1] for term in through]
            if not steps[0].requires_grad:
                raise NotRun("the image is in the start state alone, and shown is what image_term and annotations see")
            maps: list[list[FloatArray]] = [[], []]
            for scores in steps:
                weighted = (scores.softmax(dim=1).detach() * scores).sum()
                sources = [image, *grids[-1:]]
                gradients = torch.autograd.grad(weighted, sources, retain_graph=True, allow_unused=True)
                maps[0].append(_as_map(gradients[0].abs().amax(dim=1)))
                if len(gradients) > 1 and gradients[1] is not None:
                    importance = gradients[1].mean(dim=(2, 3), keepdim=True)
                    maps[1].append(_as_map(torch.relu((importance * grids[-1]).sum(dim=1))))
                else:
                    maps[1].append(np.zeros((MAP_SIDE, MAP_SIDE), dtype=np.float32))
    finally:
        for hook in hooks:
            hook.remove()
    return np.array(maps, dtype=np.float32)


def _term(model: Any, features: torch.Tensor, prefix: tuple[int, ...], end: int) -> torch.Tensor:
    """Return the term of ``prefix`` for one image, (1, D), of a model whose every step sees the image's features."""
    import torch

    annotations, state = model.annotations(features), model.start_states(features)
    for label in (end + 1, *prefix):
        term, state = model.step(torch.tensor([label]), state, annotations)
    found: torch.Tensor = term
    return found


def _as_map(values: torch.Tensor) -> FloatArray:
    """Return (1, h, w) ``values`` as (``MAP_SIDE``, ``MAP_SIDE``), smoothed, divided by the largest."""
    import torch

    resized = torch.nn.functional.interpolate(
        values.detach()[:, None], (MAP_SIDE, MAP_SIDE), mode="bilinear", align_corners=False, antialias=True
    )
    smooth = torch.nn.functional.avg_pool2d(resized, 5, stride=1, padding=2, count_include_pad=False)[0, 0]
    largest = float(smooth.max())
    result: FloatArray = (smooth / largest if largest > 0 else smooth).numpy().astype(np.float32)
    return result
