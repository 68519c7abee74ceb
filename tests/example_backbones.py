"""Backbones as their plugins build them, for tests."""

import torch

from bench import plugins
from bench.contracts import BackboneRequest
from bench.options import resolve


def built(name, weights=None, /, *, cache=None, **options):
    found, variant = plugins.installed().backbone(name)
    resolved = resolve(found.spec.options, options, name)
    return found.spec.build(BackboneRequest(resolved, weights, cache, variant))


def outputs(backbone):
    size = backbone.preprocessing.size
    with torch.inference_mode():
        return backbone.module(torch.linspace(-1, 1, 3 * size * size).reshape(1, 3, size, size))
