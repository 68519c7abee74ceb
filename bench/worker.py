"""What a rank other than 0 does: it opens the data set and builds the backbone that rank 0 names, and does its part."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench import plugins
from bench.assembly import Assembly, build_backbone, check_device, choose_protocol, open_parts
from bench.errors import BenchError, DataError
from bench.guard import reason
from bench.model.group import OtherFailedError
from bench.plan import Plan, make_plan
from bench.rebuilt import with_weights
from bench.records import RunRequest
from bench.run_config import make_config
from bench.show.row_labels import flatten
from bench.store.run_folder import RunFolder
from bench.system.files import canonical_json
from bench.system.progress import QUIET_VARIABLE
from bench.system.ranks import ANSWER, Team
from bench.system.text import first_few
from bench.system.threads import cores_shared

Order = Mapping[str, Any]

TOLD = 4
"""Most differing values that an error names."""


def serve(team: Team) -> None:
    """Do what rank 0 asks for, one order after another, and answer each; what it fails by is for rank 0 to say."""
    for order in team.orders():
        os.environ.update(order["variables"])
        os.environ[QUIET_VARIABLE] = "1"
        try:
            with cores_shared(team.place.local_count):
                _ORDERS[order["do"]](team, order)
        except OtherFailedError:
            continue  # that one has told
        except Exception as error:
            kind = type(error).__name__ if isinstance(error, BenchError) else BenchError.__name__
            team.answer(order, "failed", error=kind, words=reason(error))


def _plan(order: Order) -> Plan:
    return make_plan(RunRequest.from_json(order["request"]), plugins.installed())


def _prepare(team: Team, order: Order) -> None:
    """Open the data set while rank 0 does; a failure is told when it is asked for."""
    with contextlib.suppress(Exception):
        open_parts(_plan(order))


def _features(team: Team, order: Order) -> None:
    """Compute this rank's share of features into the file that rank 0 has begun."""
    from bench.model import features

    plan = _plan(order)
    request = plan.request
    check_device(request.device)
    parts, backbone = open_parts(plan), build_backbone(plan)
    if order.get("tuned"):
        backbone = with_weights(backbone, RunFolder(Path(order["tuned"])).read_backbone())
    with plan.calling("backbone", "features"):
        done = features.help_extract(
            parts,
            backbone,
            request.cache / "features",
            order,
            rank=team.place.rank,
            count=team.place.count,
            device=request.device,
            tell=_now_and_then(lambda: team.answer(order, "working")),
        )
    team.answer(order, "done", **done)


def _now_and_then(tell: Callable[[], None]) -> Callable[[], None]:
    """Return what calls ``tell`` where the last call was some seconds ago."""
    last = time.monotonic()

    def told() -> None:
        nonlocal last
        if time.monotonic() - last > ANSWER:
            last = time.monotonic()
            tell()

    return told


def _fine_tune(team: Team, order: Order) -> None:
    """Train the backbone with this rank's part of every batch."""
    from bench.model.group import Group

    plan = _plan(order)
    device, seed = plan.request.device, plan.request.seed
    check_device(device)
    parts = open_parts(plan)
    assembly = Assembly(plan, parts, build_backbone(plan), choose_protocol(plan, parts))
    _refuse_another(make_config(assembly), order["config"])
    head = assembly.build_model(assembly.backbone)
    team.answer(order, "ready")
    with plan.calling("model", "fine-tune", seed=seed):
        group = Group.joined(team, device)
        assembly.fine_tune(head, device, group=group)
    team.answer(order, "done")


def _refuse_another(own: Mapping[str, Any], first: Mapping[str, Any]) -> None:
    """Raise ``DataError`` where this rank would train another run than rank 0, whose config is ``first``.

    Paths may lead elsewhere on another machine, and a plugin have been edited since rank 0 read it: gradients of both
    would be added up under one key.
    """
    ours, theirs = dict(flatten(json.loads(canonical_json(own)))), dict(flatten(first))
    differing = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    if differing:
        raise DataError(
            f"its run is another one than process 0's, by {first_few(differing, TOLD)}."
            " Try: the same data, weights and code for all"
        )


_ORDERS: dict[str, Callable[[Team, Order], None]] = {
    "prepare": _prepare,
    "features": _features,
    "fine-tune": _fine_tune,
}
