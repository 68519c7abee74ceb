"""Options of a run chosen within a budget: points of the model's space, each trained and judged on validation.

Every trial is trained on the run's ``fit`` part with seed ``SEED``, whatever the run's own, and judged by O-F1, or by
what option ``select_by`` says beside the model's own, of the protocol's label sets; where the run's policy is fitted,
of that one's, each fifth of the validation part by what it chooses on the others. So a comparison's seeds share one
choice. Nothing of the test part is read but its pictures' features, which the run needs anyway.
"""

from __future__ import annotations

import math
import os
import time
from dataclasses import replace
from typing import Any

import numpy as np

from bench.assembly import Assembly
from bench.errors import DataError, ModelError, NotRun, StorageError, StoreError
from bench.evaluation import policies
from bench.guard import reason
from bench.model import features, train
from bench.model.features import PartFeatures
from bench.model.predict import judged, predict
from bench.plan import Plan, options_of, replan, searched
from bench.records import Features, Ledger, Split, Trial
from bench.run_config import check_code, code_of, make_config
from bench.system import interrupts, ranks
from bench.system.notes import note
from bench.system.progress import QUIET_VARIABLE, Many
from bench.system.text import first_few
from bench.trials.files import TrialFile
from bench.trials.space import Point, points

SEED = 0
"""Seed of the points drawn, and of every trial's training."""

FEW = 30
"""Validation images below which it is said that chance decides."""

OF_THE_MACHINE = (OSError, MemoryError, ImportError, NotRun, StorageError)
"""Why a trial fails that another time may not: it counts in this ledger, and is made again in the next."""

TOLD = 3
"""Most labels that a note names."""


def search(assembly: Assembly) -> Ledger:
    """Return the trials of the run that ``assembly`` is of, made now, by other jobs, or found under its ``out``.

    A trial that fails or diverges is one of the ledger, with its reason. Raises ``DataError`` where no trial can be
    judged, ``ModelError`` where all failed.
    """
    plan, held_out = assembly.plan, assembly.parts.validation
    budget = plan.request.trials or 0
    check_judging(held_out)
    drawn = draw(plan, budget)
    one_seed = replace(assembly, plan=replace(plan, request=replace(plan.request, seed=SEED)))
    of_points = [replace(one_seed, plan=replan(one_seed.plan, point)) for point in drawn]
    policy = assembly.policy.name if assembly.judged_by_policy else ""
    metric = f"{assembly.judged_by} by {policy}" if policy else assembly.judged_by
    files = [TrialFile(plan.request.out, make_config(one), metric, by_policy=bool(policy)) for one in of_points]
    found, code = [file.read() for file in files], code_of(plan)
    name, extracted = plan.model.spec.name, None
    many = Many([name] * len(drawn), "trials")
    for earlier in filter(None, found):
        many.finished(name, earlier.seconds)
    # Those that another job is at are left for last: by then most are done.
    places = [(wait, number) for wait in (False, True) for number in range(len(files))]
    with many.told():
        for wait, number in places:
            if found[number] is not None:
                continue
            extracted = extracted or _extracted(assembly)
            with files[number].held(wait=wait) as held:
                # Looked at again under the lock: meanwhile another job may have made it.
                trial = files[number].read(told=True)
                make = trial is None and held
                if make:
                    trial, lasts = _made(of_points[number], drawn[number], extracted)
                    check_code(plan, code)
                    if lasts:
                        files[number].write(trial)
                if trial is not None:
                    many.finished(name, trial.seconds)
                if trial is not None and make:
                    _tell(plan, number, len(drawn), trial, metric=metric, left=many.if_long())
                found[number] = trial
    trials = tuple(trial for trial in found if trial is not None)
    ledger = Ledger(budget, metric, len(held_out), trials, False, _notes(plan, held_out, trials, budget))
    if ledger.chosen < 0:
        why = trials[0].reason
        raise ModelError(f"model '{plan.model.spec.name}': none of its {len(trials)} trials worked. The first: {why}")
    if why := _keeps_out(of_points[ledger.chosen]):
        told = f"trained without the validation part, {why}"
        return replace(ledger, notes=(*ledger.notes, f"model '{plan.model.spec.name}': {told}"))
    return replace(ledger, refit=True)


def draw(plan: Plan, budget: int) -> list[Point]:
    """Return the points that ``budget`` trials of a plan try; what was typed is not among what is tried."""
    current = plan.search | plan.training | plan.model_options
    return points(searched(plan), options_of(plan.model.spec), current, budget, SEED)


def check_judging(held_out: Split) -> None:
    """Raise ``DataError`` where no trial can be told from another by this validation part."""
    where = f"{held_out.dataset}/{held_out.name}"
    if not held_out.truth.any():
        raise DataError(f"{where}: none of its {len(held_out)} images has a label, so that no trial can be judged")


def _keeps_out(assembly: Assembly) -> str:
    """Return why the validation part stays held out when the run is trained with what was chosen; empty: it need not.

    Else it is trained once more on train and validation part.
    """
    if assembly.plan.model.spec.feature_maps:
        return "whose feature maps lie in files of their own"
    if assembly.policy.fitted:
        return f"on which policy '{assembly.policy.name}' is chosen"
    model = assembly.build_model(assembly.backbone)
    if hasattr(model, "calibrate") or train.fits_by_validation(model):
        return "on which the model chooses for itself"
    return ""


def _extracted(assembly: Assembly) -> PartFeatures:
    """Return the features of the run's parts: computed once, and then read by every trial."""
    plan = assembly.plan
    with plan.calling("backbone", "features"):
        cache, helpers = plan.request.cache / "features", ranks.helpers(request=plan.request.to_json())
        return features.of_parts(assembly.parts, assembly.backbone, cache, device=plan.request.device, helpers=helpers)


def _made(one: Assembly, point: Point, extracted: PartFeatures) -> tuple[Trial, bool]:
    """Return the trial of ``point``, whose options ``one`` has, and whether it would come out so again.

    A failure is one, too. What the machine lacked then, it may have the next time.
    """
    started, lasts = time.perf_counter(), True
    try:
        score, rates = _judged(one, extracted)
        failure = "" if math.isfinite(score) else f"its validation score is {score}"
    except StoreError:  # a full disk is no fault of these options
        raise
    except Exception as error:  # a plugin may fail in any way
        interrupts.check()
        score, rates, failure = math.nan, (), reason(error)
        lasts = not _of_the_machine(error)
    seconds = time.perf_counter() - started
    return Trial(point, None if failure else score, () if failure else rates, failure, seconds), lasts


def _of_the_machine(error: BaseException | None) -> bool:
    """Return whether memory, a file or a package was lacking, wherever it was met and whatever was made of it."""
    while error is not None:
        if isinstance(error, OF_THE_MACHINE) or type(error).__name__ in {"OutOfMemoryError", "AcceleratorError"}:
            return True
        error = error.__cause__ or error.__context__
    return False


def _judged(one: Assembly, extracted: PartFeatures) -> tuple[float, tuple[float, ...]]:
    """Return the validation score of the model that these options give, and the rates of its epochs up to the best."""
    plan = one.plan
    model = one.build_model(one.backbone)
    truth, ignore = one.to_train_on
    held_out = one.validation_part(extracted.validation)
    with plan.calling("model", "train", seed=SEED):
        record = train.fit(
            model,
            plan.training,
            extracted.fit,
            truth,
            held_out.score,
            name=plan.model.spec.name,
            seed=SEED,
            ignore=ignore,
            validation=held_out,
            device=plan.request.device,
        )
        score = _score(one, model, extracted.validation)
    kept = [entry for entry in record.history if entry.learning_rate == record.learning_rate]
    return score, tuple(entry.rate for entry in kept[: record.best_epoch])


def _score(one: Assembly, model: Any, of_validation: Features) -> float:
    """Return what a trained model is worth on the validation part."""
    split, known = one.parts.validation, one.known_of(one.parts.validation)
    prediction = predict(model, of_validation, one.protocol, one.search, known)
    if one.judged_by_policy:
        masks = {"ignore": split.ignore, "known": known}
        sets = policies.held_out(one.policy, one.protocol, prediction, split.truth, labels=split.labels, **masks)
        prediction = replace(prediction, predicted=sets)
    return judged(prediction, split, one.protocol, one.judged_by, known)


def _tell(plan: Plan, number: int, total: int, trial: Trial, *, metric: str, left: str) -> None:
    """Say how a trial went, where progress is wanted."""
    if os.environ.get(QUIET_VARIABLE):
        return
    how = f"failed: {trial.reason}" if trial.score is None else f"{metric} {100 * trial.score:.1f}"
    options = in_words(trial.options) or "defaults"
    note(f"{plan.model.spec.name}, trial {number + 1} of {total}: {how}  {options}{left and f'; {left}'}")


def in_words(options: Any) -> str:
    """Return options as they are typed, without ``--set``."""
    return " ".join(f"{name}={value}" for name, value in options.items())


def _notes(plan: Plan, held_out: Split, trials: tuple[Trial, ...], budget: int) -> tuple[str, ...]:
    """Return what a reader must know of a choice beside its numbers."""
    name, notes = f"model '{plan.model.spec.name}'", []
    if not searched(plan):
        why = "every option of its search space was given" if plan.model.spec.space else plan.model.spec.exemption
        notes.append(f"{name} has nothing to choose by trials: {why}")
    elif len(trials) < budget:
        notes.append(f"{name}: its search space holds {len(trials)} points, fewer than the {budget} trials asked for")
    if failed := sum(trial.score is None for trial in trials):
        notes.append(f"{name}: {failed} of {len(trials)} trials failed. See: bench trials RUN")
    scores = [trial.score for trial in trials if trial.score is not None]
    if len(scores) > 1 and len(set(scores)) == 1 and trials[0].score is not None:
        notes.append(f"{name}: all trials have the same validation score, so the defaults are kept")
    absent = [
        label
        for label, seen in zip(held_out.labels, np.atleast_1d(held_out.truth.any(axis=0)), strict=True)
        if not seen
    ]
    if absent and searched(plan):
        notes.append(
            f"{len(absent)} of {len(held_out.labels)} labels are on no image of the validation part, so trials are not"
            f" judged by them: {first_few(absent, TOLD)}"
        )
    if len(held_out) < FEW and searched(plan):
        notes.append(f"the validation part has only {len(held_out)} images: which trial is best is mostly chance")
    return tuple(notes)
