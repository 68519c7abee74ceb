"""How label sequences are searched: names, meanings, defaults and ranges, here and nowhere else.

The command line's options (``bench.contracts.SEARCH_OPTIONS``) and what the compiled kernel is given follow from this
record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from bench.records.checks import require

Activation = Literal["identity", "relu", "tanh"]
"""h in the logits ``output @ h(prefix_term + image_term) + bias`` of a sequence model."""

SearchMethod = Literal["beam", "exact"]
StopRule = Literal["best", "all"]

ClassScore = Literal["max_over_steps", "first_step", "beam_marginal", "inclusion"]
"""How a sequence model scores each label for average precision; ``bench.decode.search`` has the formulas."""


def option(default: Any, meaning: str, *, minimum: int | None = None, by_protocol: bool = False) -> Any:
    """Return a field that is also an option; ``by_protocol``: the protocol says where the user does not."""
    return field(default=default, metadata={"meaning": meaning, "minimum": minimum, "by_protocol": by_protocol})


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How label sequences are searched; the paper's choices are the defaults (see docs/metrics.md)."""

    search: SearchMethod = option("beam", "beam search as in the paper, or the exact arg max")
    beam_width: int = option(2, "paths kept in each round", minimum=1)
    end_consumes_slot: bool = option(True, "an ended path takes a place in the beam in the round it ends")
    mask_repeats: bool = option(False, "forbid a label that the path already holds")
    min_length: int = option(0, "labels before END is allowed", minimum=0, by_protocol=True)
    max_length: int = option(20, "most labels in a sequence", minimum=1, by_protocol=True)
    stop: StopRule = option("best", "end when no live path beats the best, or any, ended one")
    class_score: ClassScore = option(
        "max_over_steps", "how a sequence scores each label for average precision", by_protocol=True
    )
    node_limit: int = option(100_000, "most prefixes an exact search visits for one image", minimum=1)
    decoder: str = option("beam", "who searches: beam, the host's own, or a plugin's; see: bench list decoders")

    def __post_init__(self) -> None:
        require(self.beam_width >= 1, f"beam_width is {self.beam_width}, must be >= 1")
        require(
            0 <= self.min_length <= self.max_length and self.max_length >= 1,
            f"lengths: found {self.min_length}..{self.max_length}, allowed: 0 <= min_length <= max_length",
        )

    @property
    def method(self) -> str:
        """Return in a word how it is searched: ``beam`` or ``exact``, or the name of a plugin's decoder."""
        return self.search if self.decoder == "beam" else self.decoder
