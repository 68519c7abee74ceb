"""The errors a user can cause, each one clear line: what, found, allowed, what to type."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 2000
"""Letters of an error. What a file holds may stand in it, and that may be anything; of more, both ends are kept."""


class BenchError(Exception):
    """A mistake in what was asked for or given; the command line prints it and exits with code 2.

    ``where`` names the plugin that was called, with stage and method; it is printed before the words. As text it is one
    line, whatever stands in it.
    """

    exit_code = 2
    where = ""

    def __str__(self) -> str:
        words = super().__str__()
        text = " ".join((f"{self.where}: {words}" if self.where else words).splitlines())
        return text if len(text) <= LONGEST else f"{text[: LONGEST * 3 // 4]} ... {text[-LONGEST // 4 :]}"


class UsageError(BenchError):
    """An unknown name, option or value."""


class DataError(BenchError):
    """A data set, image, annotation or label list that cannot be used as it is."""


class ModelError(BenchError):
    """Weights, a model folder or a training run that cannot be used as it is."""


class StoreError(BenchError):
    """A run folder that cannot be read or written."""


class StorageError(BenchError):
    """A place as s3://bucket/folder that cannot be reached, read or written; what is on this machine is unharmed."""


class PluginError(BenchError):
    """A plugin that cannot be loaded or breaks its contract; the message names its distribution."""


class TrackerError(BenchError):
    """A tracker that cannot be opened or written to; the runs it was told of are stored and unharmed."""


class NotRun(BenchError):  # noqa: N818 - it is an outcome, not a mistake
    """Work that this machine or its data cannot do; printed as ``not run: <reason>``."""


def unknown(kind: str, found: str, allowed: Iterable[str], hint: str = "") -> UsageError:
    """Return the error for a name that does not exist, with the nearest names that do.

    >>> str(unknown("model", "sofmax", ["bce", "softmax"], "See: bench list"))
    "no model 'sofmax'; did you mean 'softmax'? allowed: bce, softmax. See: bench list"
    """
    names = sorted(allowed)
    by_lower_case = {name.lower(): name for name in names}
    near = difflib.get_close_matches(found.lower(), by_lower_case, n=1)
    guess = f" did you mean '{by_lower_case[near[0]]}'?" if near else ""
    return UsageError(f"no {kind} '{found}';{guess} allowed: {', '.join(names) or 'none'}. {hint}".rstrip(" ."))
