"""Decoders as plugins give them: a search for the label sequence of each image over a trained model's step network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.contracts.api import API_VERSION
from bench.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench.contracts.models import StepNetwork
    from bench.records import FloatArray, SearchOptions

    Search = Callable[[StepNetwork, FloatArray, FloatArray, SearchOptions], tuple[NDArray[Any], NDArray[Any]]]

HOST_DECODER = "beam"
"""The host's own: beam and exact search by the compiled kernel."""


@dataclass(frozen=True, slots=True)
class SequenceSearch:
    """A decoder, as ``--set decoder=NAME`` takes it.

    ``search(step_network, image_terms, start_states, options)`` finds a label sequence for each of n images.
    ``step_network`` is a ``bench.StepNetwork``; START is index labels + 1 of its ``step``, END the last row of its
    output. ``image_terms`` are (n, D) float32, ``start_states`` (1, S), or (n, S) where ``step_network.sees_image``,
    row by row the images'; ``options`` are a ``bench.SearchOptions``, whose lengths and ``mask_repeats`` must be kept.
    It returns label indices (n, any length), padded with -1 and without END, and their log-probabilities (n,): the sum
    over the labels and END, or over the labels alone where there are ``max_length`` of them. The host computes these
    again, class scores with them. Raises ``UsageError`` for a field that is none of what is allowed.
    """

    name: str
    summary: str
    search: Search
    source: str = ""
    api_version: int = API_VERSION

    def __post_init__(self) -> None:
        if not callable(self.search):
            raise UsageError(f"decoder '{self.name}': search is a {type(self.search).__name__}, must be a function")
        if self.name == HOST_DECODER:
            raise UsageError(f"decoder '{self.name}': the host's own is called so. Try: another name")
