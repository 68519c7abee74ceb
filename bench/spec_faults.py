"""What of a spec cannot be typed, printed or called, or is of a later host: found when a plugin gives it."""

from __future__ import annotations

import re
from typing import Any

from bench import contracts
from bench.options import Option

NAME = re.compile(r"[\w+@][\w.+@-]*")
"""What users can type in a list with commas, behind a distribution and a colon, and as a folder of the store."""


def fault_of(spec: Any) -> str:
    """Return what of a spec cannot be typed, printed or called, or is of a later host; empty: nothing."""
    version = getattr(spec, "api_version", contracts.API_VERSION)
    if version != contracts.API_VERSION:
        return (
            f"'{spec.name}' is made for version {version} of the plugin interface, this host has"
            f" {contracts.API_VERSION}. Try: pip install --upgrade multilabel-bench, or another version of the plugin"
        )
    if not isinstance(spec.name, str) or not NAME.fullmatch(spec.name):
        return f"name {spec.name!r}, allowed: letters, digits and _ . + - @, no blanks"
    if not isinstance(getattr(spec, "summary", ""), str):
        return f"'{spec.name}': summary {spec.summary!r}, must be text"
    if fault := _of_options(getattr(spec, "options", ())) or _of_training(spec):
        return f"'{spec.name}': {fault}"
    for call in ("build", "open", "tables", "render", "search"):
        if hasattr(spec, call) and not callable(getattr(spec, call)):
            return f"'{spec.name}': {call} is a {type(getattr(spec, call)).__name__}, must be a function"
    return ""


def _of_options(options: Any) -> str:
    if not isinstance(options, tuple) or not all(isinstance(option, Option) for option in options):
        return "options must be a tuple of bench.Option"
    names = [option.name for option in options]
    faults = (option.fault or ("stands twice" if names.count(option.name) > 1 else "") for option in options)
    return next((f"option {name!r}: {fault}" for name, fault in zip(names, faults, strict=True) if fault), "")


def _of_training(spec: Any) -> str:
    """Return what a model's spec says that cannot be so as it is trained by gradients; empty: nothing."""
    if not isinstance(spec, contracts.ModelSpec) or spec.training is None:
        return ""
    if spec.deterministic:
        return "deterministic=True, and training draws the order of images from the seed. Try: without it"
    twice = {option.name for option in contracts.TRAINING_OPTIONS} & {option.name for option in spec.options}
    # What is typed would set both.
    return "".join(f"option '{name}' is one of training. Try: training={{'{name}': ...}}" for name in sorted(twice)[:1])
