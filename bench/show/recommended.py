"""A recommendation in words, as commands print it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping

from bench.contracts import HOST_DECODER, KNOWN_SHARE
from bench.evaluation.choosing import COSTS, shown
from bench.evaluation.significance import Difference
from bench.show.console import put, say
from bench.show.recommendation import Rated, Recommendation, policy_of
from bench.store.external import of_config
from bench.store.following import of_store
from bench.store.run_folder import RunFolder

MOST_TOLD = 8


def print_recommendation(found: Recommendation) -> None:
    """Print what to take, what it is worth and costs, what cannot be told from it, and what was left out."""
    wished = found.wish
    if found.chosen is None:
        say(f"no recommendation for {wished.text}, {found.title}: nothing fits", "bold")
    else:
        say(f"recommended for {wished.text}, {found.title}: {found.chosen.name}", "bold")
        _print_chosen(found, found.chosen)
    for name, why in found.left_out:
        say(f"  left out  {name}: {why}", "dim", indent=12)
    if found.chosen is not None and found.chosen.best is not None:
        key, place = found.chosen.best.key[:8], of_store(found.chosen.best.path)
        first = wished.policy is not None and found.chosen.best.config["policy"]["name"] != wished.policy.text
        goals = " ".join(f"--for {shlex.quote(text)}" for text in wished.typed if _of_thresholds(text))
        if not math.isnan(found.with_threshold):
            more = f"O-F1 {shown('O-F1', found.with_threshold)} on the validation images"
            say(f"  better    with a threshold {more}:", indent=12, command=f"bench thresholds {key} --for f1{place}")
        command = f"bench thresholds {key} {goals}{place}" if first else use(found.chosen.best)
        put(f"  next      {command}")


def use(chosen: RunFolder) -> str:
    """Return what to type next of a chosen run: to export it, or else to look at it.

    There is no export of scores from a file or an archive, of a model that is told tags of an image, and of a
    plugin's decoder.
    """
    config, place = chosen.config, of_store(chosen.path)
    told, decoder = KNOWN_SHARE.name in config["training"], config["search"].get("decoder", HOST_DECODER)
    if of_config(config) is not None or not chosen.lists("request") or told or decoder != HOST_DECODER:
        return f"bench report{place} --out report.html"
    return f"bench export {chosen.key[:8]}{place} --out model"


def _of_thresholds(text: str) -> bool:
    from bench.contracts.goals import OF_THRESHOLDS, parse_goal

    return parse_goal(text).name in OF_THRESHOLDS


def _print_chosen(found: Recommendation, chosen: Rated) -> None:
    wished, objective = found.wish, found.wish.objective
    names = [objective, *(goal.name for goal in wished.bounds if goal.name not in COSTS)]
    if objective in COSTS:
        names.append("O-F1")
    if wished.policy is not None:
        names.insert(0, {"precision": "O-P", "recall": "O-R", "f1": "O-F1"}[wished.policy.common.name])
    for name in dict.fromkeys(names):
        if name in COSTS:
            continue
        on_validation = chosen.candidate.values[name]
        by = ", by which it was chosen" if name == objective else ""
        told = f"{name} {shown(name, on_validation)} on {found.validation:,} validation images{by}"
        interval = (found.intervals or {}).get(name)
        if interval is not None:
            ends = ", ".join(shown(name, end) for end in (interval.low, interval.high))
            told += f"; {shown(name, interval.value)} [{ends}] on {found.test:,} test images"
        else:
            told += f"; on test not resampled. See: bench table{of_store(chosen.best.path) if chosen.best else ''}"
        say(f"  worth     {told}", indent=12)
    policy = policy_of(chosen, wished)
    thresholds = [f"{value:.4g}" for value in chosen.thresholds]
    told = f", threshold {thresholds[0]}" if len(thresholds) == 1 else f", {len(thresholds)} thresholds"
    say(f"  policy    {policy}{told if thresholds else ''}", indent=12)
    say(f"  cost      {_cost(chosen)}", indent=12)
    seeds = len(chosen.folders)
    assert chosen.best is not None, "what was chosen was measured"
    of_seeds = f", the best of {seeds} seeds on validation; numbers are means" if seeds > 1 else ""
    say(f"  run       {chosen.best.key[:8]}{of_seeds}", indent=12)
    if not found.others:
        return
    if not found.differences:
        say(f"  others    {', '.join(one.name for one in found.others)}", indent=12)
        return
    of = f"95 % of {found.resamples:,} paired resamples"
    if found.better:
        say(f"  beaten    on test by {objective}, though not on validation; 0 is beyond the middle {of}:", indent=12)
        _print_others(found, found.better)
    if found.ties:
        say(f"  as good   on test by {objective}, 0 is within the middle {of}:", indent=12)
        _print_others(found, found.ties)
    if not found.better and not found.ties:
        several = {1: "the other is", 2: "both others are"}
        worse = several.get(len(found.others), f"all {len(found.others)} others are")
        say(f"  others    {worse} worse on test, by {of}", indent=12)


def _print_others(found: Recommendation, differences: Mapping[str, Difference]) -> None:
    """Print how much more of the objective rows have on test than the chosen one."""
    told = [one for one in found.others if one.name in differences]
    for one in told[:MOST_TOLD]:
        apart = differences[one.name]
        value, low, high = (f"{100 * part:+.1f}" for part in (apart.value, apart.low, apart.high))
        costs = "" if one.cost is None or one.cost.latency is None else f", {shown('latency', one.cost.latency)}"
        put(f"            {one.name} {value} [{low}, {high}]{costs}")
    if len(told) > MOST_TOLD:
        put(f"            and {len(told) - MOST_TOLD} more")


def _cost(one: Rated) -> str:
    cost = one.cost
    if cost is None:
        return "not known"
    parts = []
    if cost.latency is not None and cost.features is not None:
        of = f"{shown('latency', cost.features)} of it reading and backbone"
        parts.append(f"{shown('latency', cost.latency)} an image in a batch as measured in the run, {of}")
    else:
        parts.append("time of an image not measured")
    parts.append(f"{shown('size', float(cost.size))}, {cost.of}" if cost.size is not None else "size not known")
    return "; ".join(parts)
