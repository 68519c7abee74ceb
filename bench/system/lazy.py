"""A module that is imported when something of it is first used: ``bench list`` reads every spec, and needs no array."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any


class _Lazy(ModuleType):
    def __getattr__(self, name: str) -> Any:
        module = importlib.import_module(self.__name__)
        # From now on its names are found at once, and this is asked only for those that the module itself finds late.
        vars(self).update({key: value for key, value in vars(module).items() if not key.startswith("__")})
        return getattr(module, name)


def lazy_import(name: str) -> Any:
    """Return the module ``name``, imported at the first use of anything in it.

    For modules that hold a spec, which ``bench list`` and ``bench --help`` import::

        if TYPE_CHECKING:
            import numpy as np
        else:
            np = bench.lazy_import("numpy")
    """
    return _Lazy(name)
