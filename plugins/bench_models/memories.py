"""How a sequence model remembers the labels emitted so far: the recurrent cells, and memories without recurrence.

A memory maps the embedding of the previous label (b, embedding) and its state (b, ``state_size``) to an
output (b, ``output_size``) and the next state. It never sees the image, so its state is a function of the
label prefix alone. States start at zero.
"""

from __future__ import annotations

import torch
from torch import nn

from bench_models.paper_cell import PaperSteps
from bench_models.prefixes import Prefixes, held
from bench_models.unrolled import StepLinear, unrolled


class Memory(nn.Module):
    """The interface of every memory."""

    state_size: int
    output_size: int

    def forward(self, embedded: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the output and the next state."""
        raise NotImplementedError

    def outputs(self, embedding: nn.Embedding, prefixes: Prefixes) -> torch.Tensor:
        """Return the output after each of ``prefixes``, (rows, ``output_size``), for training."""
        embedded = embedding(prefixes.labels)
        state = embedded.new_zeros((1, self.state_size))
        found: list[torch.Tensor] = []
        earlier = 0
        with unrolled(self):
            for level in prefixes.levels:
                if level.start:
                    state = state.index_select(0, prefixes.parents[level] - earlier)
                output, state = self(embedded[level], state)
                found.append(output)
                earlier = level.start
        return torch.cat(found)


class PaperCell(Memory):
    """The paper's equation 1: gates look at the cell r(t-1), there is no fed-back output, and no bias.

    ``literal`` applies ReLU to the gates too, as the paper's text can be read; otherwise gates are sigmoids.
    """

    def __init__(self, embedding: int, hidden: int, literal: bool = False) -> None:
        super().__init__()
        self.literal = literal
        self.state_size = self.output_size = hidden
        self.from_label = nn.Linear(embedding, 4 * hidden, bias=False)
        self.from_state = nn.Linear(hidden, 4 * hidden, bias=False)
        for block in self.from_state.weight.detach().chunk(4):
            # Unbounded gates multiply from step to step: start where products shrink.
            nn.init.orthogonal_(block, gain=0.25 if literal else 0.5)

    def forward(self, embedded: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return o(t) = r(t) * o_t and r(t)."""
        candidate, enter, forget, output = (self.from_label(embedded) + self.from_state(state)).chunk(4, dim=1)
        if self.literal:
            gates = (torch.relu(enter), torch.relu(forget), torch.relu(output))
        else:
            gates = (torch.sigmoid(enter), torch.sigmoid(forget), torch.sigmoid(output))
        following = gates[1] * state + gates[0] * torch.relu(candidate)
        return following * gates[2], following

    def outputs(self, embedding: nn.Embedding, prefixes: Prefixes) -> torch.Tensor:
        """Return o(t) after each of ``prefixes``: each label's part is computed once, however many prefixes it ends."""
        labels, places = torch.unique(prefixes.labels, return_inverse=True)
        terms = self.from_label(embedding(labels))
        found: torch.Tensor = PaperSteps.apply(terms, places, self.from_state.weight, prefixes, self.literal)
        return found


class LstmCell(Memory):
    """A standard LSTM, equal to ``torch.nn.LSTMCell`` given its weights; the state is h and c side by side."""

    def __init__(self, embedding: int, hidden: int) -> None:
        super().__init__()
        self.state_size, self.output_size = 2 * hidden, hidden
        cell = nn.LSTMCell(embedding, hidden)
        self.from_label = StepLinear(embedding, 4 * hidden)
        self.from_state = StepLinear(hidden, 4 * hidden)
        # Written out because the exporter keeps a fused cell's batch size fixed; weights start as torch's do.
        self.from_label.weight, self.from_label.bias = cell.weight_ih, cell.bias_ih
        self.from_state.weight, self.from_state.bias = cell.weight_hh, cell.bias_hh

    def forward(self, embedded: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return h and (h, c)."""
        hidden, cell = state.chunk(2, dim=1)
        enter, forget, candidate, output = (self.from_label(embedded) + self.from_state(hidden)).chunk(4, dim=1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(candidate)
        hidden = torch.sigmoid(output) * torch.tanh(cell)
        return hidden, torch.cat((hidden, cell), dim=1)


class GruCell(Memory):
    """The cell that the slides print: h' = tanh(W[r * h, x]), h = (1 - z) h + z h', without biases."""

    def __init__(self, embedding: int, hidden: int) -> None:
        super().__init__()
        self.state_size = self.output_size = hidden
        self.from_label = StepLinear(embedding, 3 * hidden, bias=False)
        self.gates_from_state = StepLinear(hidden, 2 * hidden, bias=False)
        self.candidate_from_state = StepLinear(hidden, hidden, bias=False)
        for block in (*self.gates_from_state.weight.detach().chunk(2), self.candidate_from_state.weight):
            nn.init.orthogonal_(block)

    def forward(self, embedded: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return h and h."""
        update, reset, candidate = self.from_label(embedded).chunk(3, dim=1)
        update_state, reset_state = self.gates_from_state(state).chunk(2, dim=1)
        update = torch.sigmoid(update + update_state)
        reset = torch.sigmoid(reset + reset_state)
        candidate = torch.tanh(candidate + self.candidate_from_state(reset * state))
        following = (1 - update) * state + update * candidate
        return following, following


class SumMemory(Memory):
    """The sum of all previous label embeddings, START's included: it knows the set, not its order."""

    def __init__(self, embedding: int) -> None:
        super().__init__()
        self.state_size = self.output_size = embedding

    def forward(self, embedded: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the sum, twice."""
        following = state + embedded
        return following, following

    def outputs(self, embedding: nn.Embedding, prefixes: Prefixes) -> torch.Tensor:
        """Return the sum of each prefix's labels, as one product of which labels it holds and their embeddings."""
        return held(prefixes, embedding.num_embeddings).to(embedding.weight.dtype) @ embedding.weight


class LastMemory(Memory):
    """The embedding of the last label only."""

    def __init__(self, embedding: int) -> None:
        super().__init__()
        self.state_size = self.output_size = embedding

    def forward(self, embedded: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the embedding, twice."""
        # The state takes part, times zero, so that every memory's step network has the same inputs.
        following = embedded + 0.0 * state
        return following, following

    def outputs(self, embedding: nn.Embedding, prefixes: Prefixes) -> torch.Tensor:
        """Return the embedding of each prefix's last label."""
        found: torch.Tensor = embedding(prefixes.labels)
        return found


class NoMemory(Memory):
    """Nothing: each step says what the first one said. The ablation of every memory."""

    def __init__(self, embedding: int) -> None:
        super().__init__()
        self.state_size = self.output_size = embedding

    def forward(self, embedded: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return zeros, twice."""
        following = 0.0 * (embedded + state)
        return following, following

    def outputs(self, embedding: nn.Embedding, prefixes: Prefixes) -> torch.Tensor:
        """Return zeros."""
        return embedding.weight.new_zeros((len(prefixes.labels), self.output_size))
