"""What holds of models that emit label sequences, beside what holds of all: START and END."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.evaluation import protocols
from bench.model.networks import sees_every_step
from bench.model.predict import predict
from bench.testing.checks import Table, require
from bench.testing.model_checks import MODEL_CHECKS
from bench.testing.models import Data, ModelPart, gradient_trained

SEQUENCE_CHECKS = Table(MODEL_CHECKS)
check = SEQUENCE_CHECKS.check

UPDATES, RATE = 60, 1e-2
"""Updates by Adam, after which a model has learned to say the one thing that it is taught."""

LIKELY = 0.5
"""Probability of what was taught, from which it counts as learned."""


@check(
    "its sequences are decoded, by beam and by exact search",
    remedy="see bench.SequenceModel for what step, image_term and output_embedding return",
    needs=["answers_have_their_shape"],
)
def is_decoded(part: ModelPart) -> None:  # noqa: D103
    from dataclasses import replace

    data, search = part.data(), part.search
    assert search is not None, "these are the checks of sequence models"
    for method in ("beam", "exact"):
        found = predict(part.trained(), data.features, protocols.get("top3@1"), replace(search, search=method))
        assert found.label_sets is not None, "a search gives sequences"
        require(np.isfinite(found.label_sets.log_probabilities).all(), f"{method} search: no finite log-probabilities")


@check(
    "taught that images have no label, it ends at once: END is index labels, the last row of the output",
    remedy="END is index len(request.labels): the last row of output_embedding(), and the target after the last label",
    needs=["is_decoded"],
)
def learns_to_end(part: ModelPart) -> None:  # noqa: D103
    data = part.data(labels=3)
    truth = np.zeros_like(data.truth)
    model = _taught(part, Data(data.values, truth))
    _expect(part, model, data, (), "END right after START")


@check(
    "taught one label, it says that label after START, and then END",
    remedy="START is index len(request.labels) + 1 of step(); the loss steps as step() does",
    needs=["learns_to_end"],
)
def learns_to_start(part: ModelPart) -> None:  # noqa: D103
    data = part.data(labels=3)
    truth = np.zeros_like(data.truth)
    truth[:, 1] = True
    model = _taught(part, Data(data.values, truth))
    _expect(part, model, data, (1,), "label 1 right after START, and END after it")


def _taught(part: ModelPart, data: Data) -> Any:
    import torch

    gradient_trained(part)
    model = part.build(data)
    values, truth = torch.from_numpy(data.values.astype(np.float32)), torch.from_numpy(data.truth)
    if hasattr(model, "fit"):
        model.fit(data.values, data.truth)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    generator = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(UPDATES):
        optimizer.zero_grad()
        model.loss(values, truth, generator).backward()
        optimizer.step()
    return model.eval()


def _expect(part: ModelPart, model: Any, data: Data, sequence: tuple[int, ...], told: str) -> None:
    """Raise unless ``sequence`` and END after it is likely, as the decoders see it: through terms and states."""
    import torch

    activation = {"identity": lambda x: x, "relu": torch.relu, "tanh": torch.tanh}[model.activation]
    end, labels = data.truth.shape[1], data.truth.shape[1]
    features = torch.from_numpy(data.values.astype(np.float32))
    likely = torch.zeros(len(features))
    with torch.inference_mode():
        states, terms = model.start_states(features), model.image_term(features)
        states = states.expand(len(features), -1).contiguous()
        output, bias = model.output_embedding()
        seen = (model.annotations(features),) if sees_every_step(model) else ()
        previous, emitted = labels + 1, list[int]()
        for label in (*sequence, end):
            prefix, states = model.step(torch.full((len(features),), previous), states, *seen)
            logits = activation(prefix + terms) @ output.T + (0 if bias is None else bias)
            if part.spec.searching.get("mask_repeats"):
                logits[:, emitted] = -torch.inf
            likely += logits.log_softmax(dim=1)[:, label]
            previous = label
            emitted.append(label)
    found = float(likely.exp().mean())
    require(found >= LIKELY, f"after {UPDATES} updates the probability of {told} is {found:.2f}, expected {LIKELY}")
