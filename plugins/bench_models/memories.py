"""How a sequence model remembers the labels emitted so far: the recurrent cells, and memories without recurrence.

A memory maps the embedding of the previous label (b, embedding) and its state (b, ``state_size``) to an
output (b, ``output_size``) and the next state. It never sees the image, so its state is a function of the
label prefix alone. States start at zero.
"""

from __future__ import annotations

import torch
from torch import nn

from bench_models.unrolled import StepLinear


class Memory(nn.Module):
    """The interface of every memory."""

    state_size: int
    output_size: int

    def forward(self, embedded: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the output and the next state."""
        raise NotImplementedError


class PaperCell(Memory):
    """The paper's equation 1: gates look at the cell r(t-1), there is no fed-back output, and no bias.

    ``literal`` applies ReLU to the gates too, as the paper's text can be read; otherwise gates are sigmoids.
    """

    def __init__(self, embedding: int, hidden: int, literal: bool = False) -> None:
        super().__init__()
        self.literal = literal
        self.state_size = self.output_size = hidden
        self.from_label = StepLinear(embedding, 4 * hidden, bias=False)
        self.from_state = StepLinear(hidden, 4 * hidden, bias=False)
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
