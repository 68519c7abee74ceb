"""Training done again from the start: equal to the bit on the machine that made a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.assembly import Assembly
from bench.guard import calling
from bench.model import features, train
from bench.rebuilt import with_weights
from bench.store.run_folder import RunFolder
from bench.system.threads import torch_threads


def faults(folder: RunFolder, assembly: Assembly, device: str) -> list[str]:
    """Train from the start on ``device``; return whether backbone, weights or curves are others than are stored."""
    found = []
    plan, parts = assembly.plan, assembly.parts
    request, backbone, name = plan.request, assembly.backbone, f"model '{plan.model.spec.name}'"
    if plan.finetune:
        head = assembly.build_model(backbone)
        made = folder.tuned_by()
        threads = {one["threads"] for one in made}
        # The last bits of sums depend on their number.
        alike = torch_threads(max(threads.pop(), 1) if len(threads) == 1 else None)
        with alike, calling(plan.model.origin, "fine-tune", name, seed=request.seed):
            tuned = assembly.fine_tune(head, device)
        content = train.save_weights(tuned.module)
        if content != folder.read_backbone():
            found.append(f"fine-tuning again gives another backbone{_not_alike(made)}")
        backbone = with_weights(backbone, content)
    extracted = features.of_parts(parts, backbone, request.cache / "features", device=device)
    model = assembly.build_model(backbone)
    held_out = None if assembly.refit else assembly.validation_part(extracted.validation)
    with calling(plan.model.origin, "train", name, seed=request.seed):
        record = assembly.train(model, extracted.fit, held_out, device).to_json()
    if train.save_weights(model) != folder.read_weights():
        found.append("training again gives other weights; to the bit they are equal on the machine that made them")
    if _without_times(record) != _without_times(folder.read_training()):
        found.append("training again gives other training curves")
    return found


def _not_alike(made: Sequence[Mapping[str, int]]) -> str:
    """Return why one process cannot repeat the fine-tuning that was ``made`` to the bit; empty: it can."""
    if not made or (len(made) == 1 and made[0]["processes"] == 1):
        return ""
    told = ", then ".join(f"{one['epochs']} epochs by {one['processes']} x {one['threads']} threads" for one in made)
    return f"; last bits depend on processes and threads, and it was made by {told}"


def _without_times(training: Mapping[str, Any]) -> dict[str, Any]:
    history = [{name: value for name, value in entry.items() if name != "seconds"} for entry in training["history"]]
    return {**training, "history": history, "diverged": list(training["diverged"])}
