"""What plugins give, looked at before a row is stored: the right things, and scores that are each image's own.

Everything raises ``PluginError``, to which the border adds the plugin's name, the stage and the method.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bench import plugins
from bench.contracts import Backbone, StepNetwork
from bench.contracts.choices import misfit
from bench.decode.annotated import SeeingImages, numbered
from bench.errors import PluginError
from bench.guard import calling
from bench.model.networks import (
    IMAGE_ROWS,
    STEP_ROWS,
    TorchStepNetwork,
    by_chunks,
    device_of,
    has_own_sets,
    scores_and_sets,
    searchable,
    sees_every_step,
    takes_known,
)
from bench.records import Features, FloatArray, LabelSets, Prediction, Preprocessing, Scores, SearchOptions
from bench.system.room import blocks

ROWS = 8
"""Images that are looked at before a training."""

AGAIN = 64
"""Images that are looked at again: no dearer than one, as every batch has as many rows."""

ROUNDED = 1e-5
"""Part of an image's largest score by which those of images that are alike to the model may differ."""

TOLERANCE = 1e-4
"""Largest difference of an image's scores beside other images, relative to the largest magnitude: rounding is 1e-6."""

NEEDED = {
    "scores": ("score_kind", "forward"),
    "sets": ("score_kind", "forward", "label_sets"),
    "sequence": ("activation", "sees_image", "image_term", "start_states", "step", "output_embedding"),
}
"""What a model of each kind must have."""


def check_model(model: Any, kind: str, known_tags: bool = False) -> None:
    """Raise unless ``model`` is a torch module with what its kind needs, and takes known tags only as declared."""
    import torch

    if not isinstance(model, torch.nn.Module):
        raise PluginError(
            f"build returned a {type(model).__name__}, must return a torch.nn.Module or a bench.ArrayModel"
        )
    lacking = [name for name in NEEDED[kind] if not hasattr(model, name)]
    if lacking:
        raise PluginError(f"a model of kind '{kind}' without {', '.join(lacking)}. See: bench.contracts")
    if kind == "scores" and has_own_sets(model):
        raise PluginError("a model of kind 'scores' with label_sets. Try: kind='sets', or without the method")
    if kind != "sequence" and takes_known(model) != known_tags:
        said = "declares known_tags and takes no argument known" if known_tags else "takes known tags undeclared"
        raise PluginError(
            f"the model {said}. Try: known_tags=True in its spec and forward(features, known=None), or neither"
        )
    if kind == "sequence" and sees_every_step(model) and not model.sees_image:
        raise PluginError("a sequence model with annotations whose sees_image is false. Try: sees_image = True")


def check_is_trained(model: Any, by_gradients: bool) -> None:
    """Raise where nothing would train ``model``: it has weights that want gradients, no ``fit``, and no training."""
    wanting = any(parameter.requires_grad for parameter in model.parameters())
    if wanting and not by_gradients and not hasattr(model, "fit"):
        raise PluginError(
            "training=None in its ModelSpec, and the model has weights and no fit: nothing would train them."
            " Try: without training=None, or a method fit(features, truth)"
        )


def check_backbone(backbone: Any, maps: bool = False) -> None:
    """Raise unless ``backbone`` is one, with a torch module, a number of dimensions and, for ``maps``, their shape."""
    import torch

    if not isinstance(backbone, Backbone):
        raise PluginError(f"build returned a {type(backbone).__name__}, must return a bench.Backbone")
    if not isinstance(backbone.module, torch.nn.Module):
        raise PluginError(f"the backbone's module is a {type(backbone.module).__name__}, must be a torch.nn.Module")
    if not isinstance(backbone.dimensions, int) or backbone.dimensions < 1:
        raise PluginError(f"the backbone has {backbone.dimensions!r} dimensions, must be a whole number from 1")
    if fault := _preprocessing_fault(backbone.preprocessing):
        raise PluginError(f"the backbone's preprocessing: {fault}")
    shape = backbone.feature_map
    if maps != (shape is not None):
        raise PluginError(f"the backbone's feature_map is {shape}, and {'maps' if maps else 'vectors'} were asked for")
    sides = shape or (backbone.dimensions, 1, 1)
    if (
        len(sides) != 3
        or not all(isinstance(side, int) and side > 0 for side in sides)
        or sides[0] != backbone.dimensions
    ):
        raise PluginError(f"feature_map {shape}, must be ({backbone.dimensions}, height, width): the dimensions first")


def _preprocessing_fault(preprocessing: Any) -> str:
    if not isinstance(preprocessing, Preprocessing):
        return f"found a {type(preprocessing).__name__}, must be a bench.Preprocessing"
    if wrong := misfit(preprocessing):
        return wrong
    for name in ("mean", "std"):
        values = getattr(preprocessing, name)
        if not isinstance(values, tuple) or len(values) != 3 or not all(map(_is_finite, values)):
            return f"{name} {values!r}, must be a tuple of three finite numbers, for red, green and blue in [0, 1]"
    return ""


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def check_answers(model: Any, values: FloatArray, labels: int, search: SearchOptions | None) -> None:
    """Raise unless the model's scores, or terms and states, of features ``values`` have the right shape and are finite.

    A few images are looked at, so this is cheap enough before a training.
    """
    few = np.ascontiguousarray(values[:ROWS])
    found = answers(model, few, search)
    count = len(few)
    if search is None:
        check_scores(found["scores"], count, labels)
        return
    width = found["output embedding"].shape[-1]
    states = found["start states"].shape[-1]
    extended = len(found["prefix terms"])
    shapes = {
        "output embedding": (labels + 1, width),
        "bias": (labels + 1,),
        "image terms": (count, width),
        "start states": (count if model.sees_image else 1, states),
        "prefix terms": (extended, width),
        "states": (extended, states),
    }
    if "annotations" in found:
        shapes["annotations"] = (count, *found["annotations"].shape[1:])
    for name, shape in shapes.items():
        if found[name].shape != shape:
            raise PluginError(f"{name} of shape {found[name].shape}, must be {shape}")
        if not np.isfinite(found[name]).all():
            raise PluginError(f"{name} are not finite")


def check_scores(scores: FloatArray, images: int, labels: int) -> None:
    """Raise unless there is one finite score for each image and label."""
    if scores.shape != (images, labels):
        raise PluginError(f"scores of shape {scores.shape}, must be ({images}, {labels}): images, labels")
    bad = [(rows, ~np.isfinite(scores[rows])) for rows in blocks(scores) if not np.isfinite(scores[rows]).all()]
    if bad:
        rows, wrong = bad[0]
        row, label = np.argwhere(wrong)[0].tolist()
        count, row = sum(int(mask.sum()) for _, mask in bad), rows.start + row
        raise PluginError(f"{count} scores are not finite, as {scores[row, label]} of image {row}, label {label}")


def notes(scores: Scores) -> tuple[str, ...]:
    """Return what is allowed and odd of ``scores``, (images, labels)."""
    values = scores.values
    near = ROUNDED * float(np.abs(values[:1]).max(initial=0, where=np.isfinite(values[:1])))
    same = len(values) > 1 and all(
        bool(np.isclose(values[rows], values[0], rtol=0, atol=near).all()) for rows in blocks(values)
    )
    found = ["every test image has the same scores: the model does not see the image"] if same else []
    if scores.kind == "logit" and all(_are_shares(values[rows]) for rows in blocks(values)):
        found.append("every score of kind 'logit' is from 0 to 1: is it a probability? Try: score_kind = 'probability'")
    return tuple(found)


def _are_shares(scores: FloatArray) -> bool:
    return bool(((scores >= 0) & (scores <= 1)).all())


def check_own(
    model: Any, values: FloatArray, search: SearchOptions | None, predicted: Prediction | None = None
) -> None:
    """Raise where what the model says of an image depends on the images beside it, on chance, or on what it wrote over.

    ``values`` (images, dimensions) are features. Every call has the same number of rows, so that only what the rows
    hold differs: a few images before and behind others, in another order, and beside zeros. ``predicted`` is what was
    said of all of them, on the way through which a state may have changed too little for two calls to tell.
    """
    if search is None and has_own_sets(model):
        check_keeps_inputs(model, values)
    if search is not None and predicted is not None and predicted.label_sets is not None:
        check_decoded(model, values, search, predicted.label_sets)
    chosen, together = said_twice(model, values, search)
    if predicted is not None and search is None and not takes_known(model):
        apart = difference(together["scores"], np.asarray(predicted.scores.values[_few_of(values)]))
        if apart > TOLERANCE:
            raise PluginError(
                f"scores change as more images are predicted, by {apart:.1e} of the largest, allowed: {TOLERANCE:g}."
                " Is there a state that a call changes, as a running mean that does not look at self.training?"
            )
    others = values[: IMAGE_ROWS - len(chosen)]
    beside = {
        "in another order": answers(model, np.ascontiguousarray(chosen[::-1]), search, image=len(chosen) - 1),
        "beside others": answers(model, np.concatenate([chosen, others]), search),
        "behind others": answers(model, np.concatenate([others, chosen]), search, image=len(others)),
        "alone": answers(model, chosen[:1], search),
    }
    for name, array in together.items():
        of_images = name in PER_IMAGE and len(array) == len(chosen)
        for how, found in beside.items():
            other = found[name]
            if of_images:
                other = {"in another order": other[::-1], "behind others": other[-len(chosen) :]}.get(how, other)
            shared = min(len(array), len(other))
            apart = difference(array[:shared], other[:shared])
            if apart > TOLERANCE:
                shared = name == "start states" and not model.sees_image  # by all images
                remedy = "sees_image = True" if shared else "statistics of training, as batch norm has in eval mode"
                raise PluginError(
                    f"{name} of an image depend on the other images of its batch: {how} they differ by {apart:.1e} of"
                    f" the largest, allowed: {TOLERANCE:g}. Try: {remedy}"
                )


def check_decoded(model: Any, values: FloatArray, search: SearchOptions, predicted: LabelSets) -> None:
    """Raise where a plugin's decoder gives a few images, in another order, other sequences than those ``predicted``.

    Sequences that are as probable as those count as the same: rounding chooses between them.
    """
    from bench.decode.decoder import sequences_alone

    found = plugins.installed().decoder(search.decoder)
    if found is None:
        return
    rows = _few_of(values)[::-1]
    few = Features(tuple(predicted.ids[row] for row in rows), np.ascontiguousarray(values[rows]), "")
    again = sequences_alone(*searchable(model, few), few.ids, search).log_probabilities
    apart = ~np.isclose(again, predicted.log_probabilities[rows], rtol=TOLERANCE, atol=TOLERANCE)
    if apart.any():
        with calling(found.origin, "decode", f"decoder '{found.spec.name}'"):
            raise PluginError(
                "the sequence of an image depends on the other images that it is given with, or on chance: asked"
                f" again, {int(apart.sum())} of {len(rows)} have others. Try: no chance, or a seed of its own for each"
                " image"
            )


def check_keeps_inputs(model: Any, values: FloatArray) -> None:
    """Raise where a model with label sets of its own changes, in place, what they and the stored scores are made of.

    ``values`` are features of images; a few are looked at.
    """
    import torch

    model.eval()
    with torch.inference_mode():
        features = torch.from_numpy(np.array(values[:ROWS], dtype=np.float32)).to(device_of(model))
        given = features.clone()
        scores = model(features)
        said = scores.clone()
        model.label_sets(features, scores)
    for name, now, before in (("features", features, given), ("scores", scores, said)):
        if not torch.equal(now, before):
            raise PluginError(f"the model changes the {name} that it is given, in place. Try: {name}.clone()")


def check_weights_are_all(model: Any, fresh: Any, values: FloatArray, search: SearchOptions | None) -> None:
    """Raise where ``fresh``, the model made anew with the trained weights loaded, says something else.

    What it lacks is then state that is not stored, so that the run could not be continued, exported or checked.
    """
    remedy = "Try: register it as a buffer, self.register_buffer(name, tensor)"
    chosen, expected = said_twice(model, values, search)
    try:
        found = answers(fresh, chosen, search)
    except Exception as error:
        raise PluginError(
            f"built anew with the stored weights it fails: the model keeps state outside its state_dict. {remedy}"
        ) from error
    trained, anew = (getattr(one, "score_kind", "") for one in (model, fresh))
    if trained != anew:
        raise PluginError(f"score_kind is '{trained}' once it is trained, and '{anew}' as it is built. Try: one kind")
    if worst := differing(expected, found):
        raise PluginError(
            f"built anew with the stored weights it gives other {worst}: the model keeps state outside its"
            f" state_dict. {remedy}"
        )


def said_twice(
    model: Any, values: FloatArray, search: SearchOptions | None
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Return a few of ``values`` and what ``model`` says of them; raise where it changes its mind."""
    chosen = np.ascontiguousarray(values[_few_of(values)])
    said = answers(model, chosen, search)
    if worst := differing(said, answers(model, chosen, search)):
        raise PluginError(
            f"the same images asked again give other {worst}. Is there chance in eval mode, as of a dropout"
            " that does not look at self.training, or a state that a call changes?"
        )
    return chosen, said


def _few_of(values: FloatArray) -> FloatArray:
    """Return the rows of the images that are asked again."""
    return np.linspace(0, len(values) - 1, min(AGAIN, len(values))).astype(int)


PER_IMAGE = ("scores", "label sets", "image terms", "start states", "annotations")
"""What of a model's answers has a row for each image."""


def answers(model: Any, values: FloatArray, search: SearchOptions | None, image: int = 0) -> dict[str, FloatArray]:
    """Return what a trained model says of features ``values`` and, of a sequence model, of prefixes, by name.

    Where the recurrence sees the image, the prefixes are those of the image in row ``image``.
    """
    if search is None:
        scores, sets = scores_and_sets(model, values)
        return {"scores": scores} | ({} if sets is None else {"label sets": sets.astype(np.float32)})
    of_torch = TorchStepNetwork(model)
    starts = by_chunks(model, model.start_states, values if model.sees_image else values[:1])
    if not model.sees_image:
        starts = starts[:1]
    seen: dict[str, FloatArray] = {}
    network: StepNetwork = of_torch
    raw = starts
    if sees_every_step(model):
        seen["annotations"] = by_chunks(model, model.annotations, values)
        network, starts = SeeingImages(of_torch, seen["annotations"]), numbered(starts)
    end = len(network.output) - 1
    labels = np.array([end + 1, *range(min(end, STEP_ROWS - 1))], dtype=np.int64)
    states = np.ascontiguousarray(np.repeat(starts[[image if model.sees_image else 0]], len(labels), axis=0))
    terms, following = network.step(labels, states)
    single = [network.step(labels[row : row + 1], states[:1])[0] for row in range(min(len(labels), 3))]
    if difference(terms[: len(single)], np.concatenate(single)) > TOLERANCE:
        raise PluginError("the term of a prefix depends on the other prefixes of its batch; step must not mix rows")
    return {
        "image terms": by_chunks(model, model.image_term, values),
        "start states": raw,
        "prefix terms": terms,
        "states": following[:, -raw.shape[1] :],
        "output embedding": network.output,
        "bias": network.bias,
    } | seen


def differing(one: dict[str, FloatArray], other: dict[str, FloatArray]) -> str:
    """Return the name of the first answers that differ by more than ``TOLERANCE``; empty: none do."""
    return next((name for name in one if difference(one[name], other[name]) > TOLERANCE), "")


def difference(one: FloatArray, other: FloatArray) -> float:
    """Return the largest difference relative to the largest magnitude; infinite where the shapes are not the same."""
    if one.shape != other.shape:
        return float("inf")
    largest = max(float(np.abs(one).max(initial=0)), 1e-6)
    return float(np.nan_to_num(np.abs(one - other), nan=np.inf).max(initial=0) / largest)
