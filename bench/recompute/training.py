"""Training done again from the start: equal to the bit on the machine that made a run.

A backbone that several processes tuned is tuned by this one alone: it is to be close, and the rest equal, from what is
stored of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.assembly import Assembly
from bench.model import features, train
from bench.rebuilt import with_weights
from bench.store.run_folder import RunFolder
from bench.system.threads import torch_threads

CLOSE = 1e-4
"""How far weights that several processes tuned may be from those of one, relative to the network's largest."""


def faults(folder: RunFolder, assembly: Assembly, device: str) -> list[str]:
    """Train from the start on ``device``; return whether backbone, weights or curves are others than are stored."""
    found = []
    plan, parts = assembly.plan, assembly.parts
    request, backbone = plan.request, assembly.backbone
    if plan.finetune:
        head = assembly.build_model(backbone)
        made = folder.tuned_by()
        threads = {one["threads"] for one in made}
        # The last bits of sums depend on their number.
        alike = torch_threads(max(threads.pop(), 1) if len(threads) == 1 else None)
        with alike, plan.calling("model", "fine-tune", seed=request.seed):
            tuned = assembly.fine_tune(head, device)
        content, stored = train.save_weights(tuned.module), folder.read_backbone()
        alone = not made or (len(made) == 1 and made[0]["processes"] == 1)
        if content != stored and not alone and _close(content, stored):
            content = stored
        if content != stored:
            found.append(f"fine-tuning again gives another backbone{'' if alone else f', made by {_in_words(made)}'}")
        backbone = with_weights(backbone, content)
    extracted = features.of_parts(parts, backbone, request.cache / "features", device=device)
    model = assembly.build_model(backbone)
    held_out = None if assembly.refit else assembly.validation_part(extracted.validation)
    with plan.calling("model", "train", seed=request.seed):
        record = assembly.train(model, extracted.fit, held_out, device).to_json()
    if train.save_weights(model) != folder.read_weights():
        found.append("training again gives other weights; to the bit they are equal on the machine that made them")
    if _without_times(record) != _without_times(folder.read_training()):
        found.append("training again gives other training curves")
    return found


def _in_words(made: Sequence[Mapping[str, int]]) -> str:
    return ", then ".join(f"{one['processes']} x {one['threads']} threads for {one['epochs']} epochs" for one in made)


def _close(one: bytes, other: bytes) -> bool:
    """Return whether two files of weights differ as sums in another order do: by ``CLOSE`` of the largest weight."""
    from safetensors.torch import load

    tensors, others = load(one), load(other)
    if tensors.keys() != others.keys() or any(tensors[name].shape != others[name].shape for name in tensors):
        return False
    weights = {name: (tensor.double(), others[name].double()) for name, tensor in tensors.items() if tensor.numel()}
    floats = [stored for name, (_, stored) in weights.items() if _is_float(tensors[name])]
    largest = max((float(stored.abs().max()) for stored in floats), default=0.0)
    return all(float((again - stored).abs().max()) <= CLOSE * largest for again, stored in weights.values())


def _is_float(tensor: Any) -> bool:
    return bool(tensor.is_floating_point())  # counts of batches are no weights


def _without_times(training: Mapping[str, Any]) -> dict[str, Any]:
    history = [{name: value for name, value in entry.items() if name != "seconds"} for entry in training["history"]]
    return {**training, "history": history, "diverged": list(training["diverged"])}
