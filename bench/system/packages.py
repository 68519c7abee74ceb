"""Packages that are not installed or cannot be loaded, told in one line."""

from __future__ import annotations

NAMES = {"PIL": "pillow", "sklearn": "scikit-learn"}
"""What modules are called where they are installed from, if not by their own name."""

OWN = ("bench", "bench_models", "bench_datasets", "bench_backbones", "bench_trackers")


def missing(error: ImportError) -> str | None:
    """Return what is not installed and what to type, in a line; ``None`` for a module of the project's own.

    So for a compiled one that the system cannot load, as for want of memory or of a library; ``None`` for a name that a
    Python module lacks: that is somebody's mistake.

    >>> missing(ModuleNotFoundError(name="PIL.Image"))
    'pillow is not installed, which this command needs. Try: pip install pillow'
    >>> missing(ImportError("libc.so.7: cannot open", path="/lib/_C.so"))
    "cannot load '/lib/_C.so': libc.so.7: cannot open. Try: ulimit -v, which bounds memory, or to install it anew"
    """
    if not isinstance(error, ModuleNotFoundError):
        remedy = "Try: ulimit -v, which bounds memory, or to install it anew"
        while not (error.path or "").endswith((".so", ".pyd")):  # NumPy tells of it in many lines of its own
            if not isinstance(error.__cause__, ImportError):
                return None
            error = error.__cause__
        return f"cannot load '{error.path}': {error}. {remedy}"
    module = (error.name or "").partition(".")[0]
    if not module or module in OWN:
        return None
    package = NAMES.get(module, module)
    return f"{package} is not installed, which this command needs. Try: pip install {package}"
