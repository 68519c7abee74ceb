"""Packages that are not installed, told in one line."""

from __future__ import annotations

NAMES = {"PIL": "pillow", "sklearn": "scikit-learn"}
"""What modules are called where they are installed from, if not by their own name."""

OWN = ("bench", "bench_models", "bench_datasets", "bench_backbones", "bench_trackers")


def missing(error: ModuleNotFoundError) -> str | None:
    """Return what is not installed and what to type, in a line; ``None`` for a module of the project's own.

    >>> missing(ModuleNotFoundError(name="PIL.Image"))
    'pillow is not installed, which this command needs. Try: pip install pillow'
    """
    module = (error.name or "").partition(".")[0]
    if not module or module in OWN:
        return None
    package = NAMES.get(module, module)
    return f"{package} is not installed, which this command needs. Try: pip install {package}"
