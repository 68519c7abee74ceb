"""Fine-tunes a backbone end to end under a model's own loss, instead of keeping it frozen as the paper does.

The tuned backbone then takes the frozen one's place: features are extracted with it, and the model
is trained on them with the usual search for learning rate and stopping. So every later stage, and
every file of the run, is the same with and without fine-tuning.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

from bench.contracts import Backbone
from bench.data.loading import load
from bench.errors import ModelError
from bench.model.train import left_out
from bench.records import BoolArray, Split
from bench.system.deterministic import deterministic
from bench.system.files import digest
from bench.system.progress import progress_bar

LEARNING_RATE = 1e-3
MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4
BATCH_SIZE = 32
"""SGD settings of the VGG-16 fine-tuning in Rezatofighi et al., AAAI 2018."""


def tune(
    backbone: Backbone,
    model: Any,
    fit: Split,
    truth: BoolArray,
    ignore: BoolArray | None = None,
    *,
    epochs: int,
    seed: int,
    device: str = "cpu",
) -> Backbone:
    """Return a copy of ``backbone`` trained together with ``model`` on the images of ``fit``.

    ``truth`` and ``ignore`` are (images, labels) bool, as in ``bench.model.train.fit``.
    ``model`` is trained in place. Batch-norm statistics stay as pre-trained. Raises ``ModelError`` where
    the loss is not finite.
    """
    import torch

    module = copy.deepcopy(backbone.module).to(device)
    model.to(device).train()
    generator = torch.Generator().manual_seed(seed)
    parameters = [*module.parameters(), *model.parameters()]
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.SGD(parameters, lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    with deterministic(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for epoch in range(epochs):
            order = torch.randperm(len(fit), generator=generator).tolist()
            batches = [order[start : start + BATCH_SIZE] for start in range(0, len(order), BATCH_SIZE)]
            loaded = zip(batches, load(fit.images, batches, backbone.preprocessing), strict=True)
            title = f"fine-tuning, epoch {epoch + 1} of {epochs}"
            for batch, pixels in progress_bar(loaded, title, total=len(batches), scale=BATCH_SIZE):
                features = module.eval()(torch.from_numpy(pixels).to(device))
                wanted = torch.from_numpy(truth[batch]).to(device)
                mask = None if ignore is None else torch.from_numpy(ignore[batch]).to(device)
                loss = model.loss(features, wanted, generator, **left_out(model.loss, mask))
                if not torch.isfinite(loss):
                    raise ModelError(
                        f"fine-tuning diverged in epoch {epoch + 1}: loss is {loss.item()}. Try: --finetune 0"
                    )
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(parameters, 5.0)
                optimizer.step()
    model.cpu()
    return with_module(backbone, module.cpu().eval().requires_grad_(False))


def with_module(backbone: Backbone, module: Any) -> Backbone:
    """Return ``backbone`` with other weights, and the hash of those weights."""
    arrays = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    parts = [part for name in sorted(arrays) for part in (name, arrays[name].tobytes())]
    return dataclasses.replace(backbone, module=module, weights_hash=digest(*parts))
