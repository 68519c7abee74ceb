"""The sequence model behind ``cnn-rnn`` and ``no-rnn``; they differ in the memory of the labels emitted so far.

paper.md section 1: x_t = h(U_o o(t) + U_I I), s(t) = U_l^T x_t, the label embedding U_l shared by input and output.
Beyond the paper: U_I may have a hidden layer, and the order of labels may be free, so that any label still to come is
a right answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import nn

import bench
from bench import BoolArray, FloatArray
from bench_models.inputs import Dropout, FeatureInput, seeded
from bench_models.map_heads import MapInput
from bench_models.memories import GruCell, LastMemory, LstmCell, Memory, NoMemory, PaperCell, SumMemory
from bench_models.places import Places
from bench_models.prefixes import Prefixes, held, prefixes_of

Activation = Literal["identity", "relu", "tanh"]
ACTIVATIONS: dict[Activation, Callable[[torch.Tensor], torch.Tensor]] = {
    "identity": lambda x: x,
    "relu": torch.relu,
    "tanh": torch.tanh,
}


class PrefixModel(nn.Module):
    """A ``bench.SequenceModel`` whose memory sees labels only, so that images share the states of equal prefixes."""

    sees_image = False
    label_order: torch.Tensor

    def __init__(self, request: bench.ModelRequest, memory: Memory) -> None:
        super().__init__()
        self.activation = cast(Activation, request.options["activation"])
        self.labels = len(request.labels)
        self.end, self.start = self.labels, self.labels + 1
        embedding = int(request.options["embedding"])
        self.memory = memory
        self.embedding = nn.Embedding(self.labels + 2, embedding)
        nn.init.normal_(self.embedding.weight, std=embedding**-0.5)
        self.input: Any = FeatureInput(request) if request.feature_map is None else MapInput(request)
        self.dropout = Dropout(float(request.options["dropout"]))
        # Where asked, and of maps, the joint space has a number for each label beside the dimensions that all share.
        own = request.feature_map is not None or bool(request.options["own_logits"])
        self.own = self.labels + 1 if own else 0
        self.project_image = image_side(request, embedding)
        self.project_memory = nn.Linear(memory.output_size, embedding, bias=False)
        self.free = request.options["order"] == "free"
        self.unrepeated = bool(request.options["unrepeated"])
        self.register_buffer("label_order", torch.from_numpy(label_order(request)))

    def fit(self, features: FloatArray, truth: BoolArray, ignore: BoolArray | None = None) -> None:
        """Take the input's mean and standard deviation from the training part."""
        self.input.fit(features)

    def image_term(self, features: torch.Tensor) -> torch.Tensor:
        """Return U_I I, (n, embedding), with each label's own score behind it where it has one."""
        term: torch.Tensor = self.project_image(self.input(features))
        return term

    def start_states(self, features: torch.Tensor) -> torch.Tensor:
        """Return the state before START, (1, S): zeros, the same for every image."""
        return features.new_zeros((1, self.memory.state_size))

    def step(self, labels: torch.Tensor, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the prefix term U_o o(t), (b, embedding), with zeros for own scores, and the next state, (b, S)."""
        output, following = self.memory(self.embedding(labels), states)
        return self.prefix_term(output), following

    def prefix_term(self, output: torch.Tensor) -> torch.Tensor:
        """Return U_o o(t) of the memory's output."""
        term: torch.Tensor = self.project_memory(self.dropout(output))
        return nn.functional.pad(term, (0, self.own)) if self.own else term

    def output_embedding(self) -> tuple[torch.Tensor, None]:
        """Return the rows of U_l that can be emitted: labels, then END. There is no bias."""
        shared = self.embedding.weight[: self.labels + 1]
        if not self.own:
            return shared, None
        return torch.cat([shared, torch.eye(self.own, dtype=shared.dtype, device=shared.device)], dim=1), None

    def loss(
        self,
        features: torch.Tensor,
        truth: torch.Tensor,
        generator: torch.Generator,
        ignore: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the cross-entropy of the true sequences under teacher forcing, mean over all their steps.

        The memory sees only labels, so each distinct prefix of the batch is computed once. An ignored label is in no
        sequence, and out of the softmax of each of its image's steps. Where the order is free, one is drawn for the
        batch, and what counts is the probability of all labels together that the step could emit. With ``unrepeated``
        what was emitted before is out of a step's softmax: probability spent on repeats, which a search with
        ``mask_repeats`` never takes, is lost to the others.
        """
        truth, prefixes = self.targets(truth, generator, ignore)
        return self.cost(features, truth, prefixes, ignore)

    def targets(
        self, truth: torch.Tensor, generator: torch.Generator, ignore: torch.Tensor | None
    ) -> tuple[torch.Tensor, Prefixes]:
        """Return ``truth`` without what is ignored, and the prefixes of its sequences."""
        if ignore is not None:
            truth = truth & ~ignore
        order = self.label_order
        if self.free:
            order = torch.randperm(self.labels, generator=generator, device=truth.device)
        return truth, prefixes_of(truth, order)

    def cost(
        self, features: torch.Tensor, truth: torch.Tensor, prefixes: Prefixes, ignore: torch.Tensor | None
    ) -> torch.Tensor:
        """Return the loss of these targets."""
        outputs = self.memory.outputs(self.embedding, prefixes).index_select(0, prefixes.rows)
        images = prefixes.images
        terms = self.prefix_term(outputs) + self.image_term(features)[images]
        embedding, _ = self.output_embedding()
        logits = ACTIVATIONS[self.activation](terms) @ embedding.T
        if ignore is not None:
            with_end = nn.functional.pad(ignore, (0, 1), value=False)
            logits = logits.masked_fill(with_end[images], torch.finfo(logits.dtype).min)
        if self.free or self.unrepeated:
            emitted = held(prefixes, self.labels + 2)[prefixes.rows, : self.labels + 1] > 0
            if self.unrepeated:
                logits = logits.masked_fill(emitted, torch.finfo(logits.dtype).min)
            if self.free:
                return any_of(logits, right_answers(truth[images], emitted))
        return nn.functional.cross_entropy(logits, prefixes.targets)


class Members(nn.Module):
    """Several ``PrefixModel`` of different initial weights, trained side by side, that answer as one.

    Its logits are the mean of theirs: image terms, prefix terms and states lie side by side, and so do the output
    embeddings, each divided by their number. So it is searched and exported as one model is, in one search.
    """

    sees_image = False

    def __init__(self, members: Sequence[PrefixModel]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.activation = members[0].activation
        self.state_sizes = [one.memory.state_size for one in members]

    @property
    def label_order(self) -> torch.Tensor:
        """Return the order of labels in the targets, which all members share."""
        return self._all()[0].label_order

    def fit(self, features: FloatArray, truth: BoolArray, ignore: BoolArray | None = None) -> None:
        """Take the inputs' mean and standard deviation from the training part."""
        first, *others = self._all()
        first.fit(features, truth, ignore)
        for other in others:
            other.input.load_state_dict(first.input.state_dict())

    def image_term(self, features: torch.Tensor) -> torch.Tensor:
        """Return the members' image terms side by side, (n, members * D)."""
        return torch.cat([one.image_term(features) for one in self._all()], dim=1)

    def start_states(self, features: torch.Tensor) -> torch.Tensor:
        """Return the state before START, (1, S): zeros."""
        return features.new_zeros((1, sum(self.state_sizes)))

    def step(self, labels: torch.Tensor, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the members' prefix terms side by side, (b, members * D), and their next states, (b, S)."""
        parts = zip(self._all(), torch.split(states, self.state_sizes, dim=1), strict=True)
        terms, following = zip(*(one.step(labels, state) for one, state in parts), strict=True)
        return torch.cat(terms, dim=1), torch.cat(following, dim=1)

    def output_embedding(self) -> tuple[torch.Tensor, None]:
        """Return the members' output embeddings side by side, divided by their number."""
        rows = [one.output_embedding()[0] for one in self._all()]
        return torch.cat(rows, dim=1) / len(rows), None

    def loss(
        self,
        features: torch.Tensor,
        truth: torch.Tensor,
        generator: torch.Generator,
        ignore: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the sum of the members' losses, on the same targets: each has the gradient that it would have alone.

        Clipping, the learning rate and stopping are of all together.
        """
        first = self._all()[0]
        truth, prefixes = first.targets(truth, generator, ignore)
        return torch.stack([one.cost(features, truth, prefixes, ignore) for one in self._all()]).sum()

    def _all(self) -> list[PrefixModel]:
        return cast(list[PrefixModel], list(self.members))


def right_answers(truth: torch.Tensor, emitted: torch.Tensor) -> torch.Tensor:
    """Return what each step may emit, (steps, labels + 1) bool: its image's labels still to come; END where none is.

    ``truth`` (steps, labels) is of its image; ``emitted`` (steps, labels + 1) says what came before.
    """
    left = truth & ~emitted[:, : truth.shape[1]]
    return torch.cat([left, ~left.any(dim=1, keepdim=True)], dim=1)


def any_of(logits: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return -log of the probability that one of the ``right`` entries is emitted, mean over the steps."""
    wanted = logits.masked_fill(~right, torch.finfo(logits.dtype).min)
    return (logits.logsumexp(dim=1) - wanted.logsumexp(dim=1)).mean()


def image_side(request: bench.ModelRequest, embedding: int) -> nn.Module:
    """Return U_I: one matrix as in the paper, or a hidden layer before it where option ``image_hidden`` asks.

    With option ``own_logits`` it also gives each label and END a score, whose rows have a bias, as a classifier does.
    """
    hidden = int(request.options["image_hidden"])
    if request.feature_map is not None:
        return Places(request, embedding, hidden)
    own = bool(request.options["own_logits"])
    terms = embedding + own * (len(request.labels) + 1)
    if not hidden:
        return nn.Linear(request.dimensions, terms, bias=own)
    drop = Dropout(float(request.options["dropout"]))
    return nn.Sequential(nn.Linear(request.dimensions, hidden), nn.ReLU(), drop, nn.Linear(hidden, terms, bias=own))


def label_order(request: bench.ModelRequest) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the labels in the order in which a target sequence names them.

    ``frequent``: most frequent in training first, ties by index (paper.md section 2); ``rare``: the
    reverse; ``random``: one permutation drawn from the run's seed; ``free``: none, ``frequent`` stands for it.
    """
    order = request.options["order"]
    if order == "random":
        return np.random.default_rng(request.seed).permutation(len(request.labels))
    frequent = np.argsort(-np.asarray(request.label_counts, dtype=np.int64), kind="stable")
    return frequent[::-1].copy() if order == "rare" else frequent


def build_prefix_model(request: bench.ModelRequest, memory: str) -> PrefixModel | Members:
    """Return the model with the memory of that name; initial weights are drawn from the request's seed."""
    embedding, hidden = int(request.options["embedding"]), int(request.options.get("hidden", 0))
    make: dict[str, Callable[[], Memory]] = {
        "paper": lambda: PaperCell(embedding, hidden),
        "paper-literal": lambda: PaperCell(embedding, hidden, literal=True),
        "lstm": lambda: LstmCell(embedding, hidden),
        "gru": lambda: GruCell(embedding, hidden),
        "sum": lambda: SumMemory(embedding),
        "last": lambda: LastMemory(embedding),
        "none": lambda: NoMemory(embedding),
    }
    with seeded(request.seed):
        members = [PrefixModel(request, make[memory]()) for _ in range(int(request.options.get("members", 1)))]
    return members[0] if len(members) == 1 else Members(members)
