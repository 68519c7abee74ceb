"""A decoder under its checks: it searches small made-up step networks, of which every answer is right or wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.contracts import SequenceSearch, StepNetwork
from bench.decode.decoder import decode
from bench.decode.plugged import found_by, require_own
from bench.decode.rescored import rescored
from bench.options import OptionValue
from bench.plugins import Origin
from bench.records import Activation, FloatArray, SearchOptions
from bench.testing.checks import Table, require
from bench.testing.common import add_common

IMAGES, LABELS, SIZE = 30, 4, 6
"""Of the made-up searches; ``SIZE`` is that of terms and states."""

ROUNDING = 1e-5
"""How far log-probabilities may differ between images searched alone and together, and from the exact answer's."""

SEARCHES = (
    SearchOptions(max_length=4),
    SearchOptions(max_length=3, min_length=2, mask_repeats=True),
    SearchOptions(max_length=1),
    SearchOptions(max_length=6, beam_width=1, class_score="first_step"),
)
"""What is asked for."""


class Recurrence:
    """A step network with random weights; ``sees_image``: each image starts from a state of its own."""

    activation: Activation = "tanh"

    def __init__(self, labels: int = LABELS, *, sees_image: bool = False) -> None:
        rng = np.random.default_rng(0)
        self.sees_image = sees_image
        self.output: FloatArray = rng.normal(scale=1.5, size=(labels + 1, SIZE)).astype(np.float32)
        self.bias: FloatArray = rng.normal(size=labels + 1).astype(np.float32)
        self._embedding = rng.normal(size=(labels + 2, SIZE)).astype(np.float32)
        self._recurrent = rng.normal(size=(SIZE, SIZE)).astype(np.float32)

    def step(self, labels: Any, states: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return prefix terms and states, (b, ``SIZE``) both."""
        # Elementwise, so that an image's states are the same to the bit whichever stand beside it.
        products = (states[:, :, None] * self._recurrent[None]).sum(axis=1, dtype=np.float32)
        following = np.tanh(self._embedding[labels] + products).astype(np.float32)
        return following, following


@dataclass(slots=True)
class DecoderPart:
    """One decoder under its checks."""

    spec: SequenceSearch
    origin: Origin | str
    kind: str = "decoder"
    options: Mapping[str, OptionValue] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the decoder's name."""
        return self.spec.name

    def found(self, searched: Searched) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return its sequences and log-probabilities. Raises ``PluginError`` for what no search can give."""
        return found_by(self.spec, searched.network, searched.image_terms, searched.start_states, searched.options)


@dataclass(frozen=True, slots=True)
class Searched:
    """What a decoder is given."""

    network: StepNetwork
    image_terms: FloatArray
    start_states: FloatArray
    options: SearchOptions

    def row(self, image: int) -> Searched:
        """Return the same for one image alone."""
        rows = slice(image, image + 1)
        starts = self.start_states[rows] if self.network.sees_image else self.start_states
        return replace(self, image_terms=self.image_terms[rows], start_states=starts)


def _made_up(images: int = IMAGES, labels: int = LABELS) -> Iterator[Searched]:
    rng = np.random.default_rng(1)
    for options in SEARCHES:
        for sees_image in (False, True):
            terms, starts = (rng.normal(size=(count, SIZE)).astype(np.float32) for count in (images, images))
            length = min(options.min_length, labels) if options.mask_repeats else options.min_length
            yield Searched(
                Recurrence(labels, sees_image=sees_image),
                terms,
                starts if sees_image else starts[:1],
                replace(options, min_length=length),
            )


DECODER_CHECKS = Table()
check = DECODER_CHECKS.check


@check(
    "its answers are label sequences such as the options allow",
    remedy="return (sequences, log_probabilities): (n, L) label indices padded with -1, END left out, and (n,) floats;"
    " bench.next_label_log_probabilities masks what the options forbid",
)
def answers_are_sequences(part: DecoderPart) -> str:  # noqa: D103 - the claim says it, here and below
    lengths = [(part.found(searched)[0] >= 0).sum(axis=1) for searched in _made_up()]
    return f"{np.concatenate(lengths).mean():.2f} labels an image on made-up networks"


@check(
    "their log-probabilities are what the step network says of them",
    remedy="add up the log-probabilities of the labels and of END; of max_length labels there is no END",
    needs=["answers_are_sequences"],
)
def probabilities_are_right(part: DecoderPart) -> str:  # noqa: D103
    best, complete = 0, 0
    for searched in _made_up():
        sequences, claimed = part.found(searched)
        own = rescored(searched.network, searched.image_terms, searched.start_states, sequences, searched.options)
        require_own(sequences, claimed, own, searched.options)
        exact = _exact(searched)
        ended = own.complete & exact.complete
        beyond = ended & (own.log_probabilities > exact.log_probabilities + ROUNDING)
        require(not beyond.any(), f"{int(beyond.sum())} answers are more probable than the most probable sequence")
        complete += int(ended.sum())
        best += int((ended & (own.log_probabilities >= exact.log_probabilities - ROUNDING)).sum())
    return f"{best} of {complete} ended sequences are the most probable ones"


@check(
    "asked again it answers the same",
    remedy="no chance, or a seed of its own for each image: np.random.default_rng(0)",
    needs=["answers_are_sequences"],
)
def answers_the_same_again(part: DecoderPart) -> None:  # noqa: D103
    for searched in _made_up():
        (one, _), (other, _) = (part.found(searched) for _ in range(2))
        wrong = int((one != other).any(axis=1).sum())
        require(not wrong, f"{wrong} of {len(one)} images get another sequence the second time")


@check(
    "each image's sequence follows from its own terms and state",
    remedy="search must not look at other rows, nor draw one random number after another for all of them",
    needs=["answers_the_same_again"],
)
def images_stand_alone(part: DecoderPart) -> None:  # noqa: D103
    for searched in _made_up():
        together, said = part.found(searched)
        alone = [part.found(searched.row(image)) for image in range(len(together))]
        wrong = int((together != np.concatenate([one for one, _ in alone])).any(axis=1).sum())
        require(not wrong, f"{wrong} of {len(together)} images have another sequence alone than among others")
        apart = float(np.abs(said - np.concatenate([one for _, one in alone])).max())
        require(apart <= ROUNDING, f"log-probabilities alone and among others differ by {apart:.1e}")


@check(
    "networks of one label are searched, too",
    remedy="END is the last row of step_network.output, whatever their number",
    needs=["answers_are_sequences"],
)
def one_label(part: DecoderPart) -> None:  # noqa: D103
    for searched in _made_up(images=3, labels=1):
        part.found(searched)


def _use(part: DecoderPart) -> None:
    for searched in _made_up():
        part.found(searched)


add_common(DECODER_CHECKS, _use, "answers_are_sequences")


@check("what it costs is told and not judged", remedy="", needs=["answers_are_sequences"])
def cost(part: DecoderPart) -> str:  # noqa: D103
    searched = next(_made_up(images=2_000, labels=80))
    started = time.perf_counter()
    part.found(searched)
    own = time.perf_counter() - started
    started = time.perf_counter()
    decode(searched.network, searched.image_terms, searched.start_states, _ids(searched), searched.options)
    host = time.perf_counter() - started
    return f"2,000 images of 80 labels in {1000 * own:.0f} ms; the host's beam search takes {1000 * host:.0f} ms"


def _ids(searched: Searched) -> tuple[str, ...]:
    return tuple(map(str, range(len(searched.image_terms))))


def _exact(searched: Searched) -> Any:
    """Return the most probable sequences, as the host's exact search finds them."""
    exact = replace(searched.options, search="exact")
    return decode(searched.network, searched.image_terms, searched.start_states, _ids(searched), exact).label_sets
