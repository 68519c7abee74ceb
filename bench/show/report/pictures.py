"""Pictures of a group's test images from its data set, where that can be opened here; kept for the next report."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.data.near_duplicates import Pair, pairs, small_pictures
from bench.data.thumbnails import thumbnail, thumbnails
from bench.guard import reason
from bench.records import Split
from bench.show.report.contents import Contents, Double
from bench.show.report.gather import Group
from bench.system.files import digest
from bench.system.sealed_files import keep, read_sealed

Opened = Callable[[], tuple[Split, Split]]
"""Train and test of the data set. Raises ``BenchError`` where it is not here."""

QUICK = 20_000
"""Images among which near duplicates are looked for without being asked: half a minute, once."""
MOST_DOUBLES = 100
VERSION = "near duplicates 1"


def with_pictures(contents: Contents, group: Group, opened: Opened, cache: Path, look: bool | None) -> Contents:
    """Return ``contents`` with a thumbnail of each card and doubt, and the pictures that stand twice.

    ``look``: whether near duplicates are looked for; ``None``: where there are few images. A picture that is not
    here costs a remark and no more.
    """
    prints = next((run.config["dataset"].get("fingerprints") for run in group.runs if run.measures), None)
    if not contents.rows or not prints or not {"train", "test"} <= set(prints):
        return contents
    shown = dict.fromkeys([card.row for card in contents.cards] + [doubt.row for doubt in contents.doubts])
    wanted = [row for row in shown if row not in contents.pictures]
    remarks = list(contents.remarks)
    try:
        found = thumbnails(lambda: opened()[1], wanted, prints["test"], cache)
        contents = replace(contents, pictures={**contents.pictures, **found})
    except Exception as error:  # whatever a data set raises, or a run claims, pictures must not cost the page
        remarks.append(f"{len(wanted):,} test images with errors have no picture here: {reason(error)}")
        look = False
    try:
        doubles = None if look is False else _doubles(opened, prints, cache, look)
        if isinstance(doubles, str):
            remarks.append(doubles)
        else:
            contents = replace(contents, doubles=doubles)
    except Exception as error:
        remarks.append(f"near duplicates are not looked for: {reason(error)}")
    return replace(contents, remarks=tuple(remarks))


def _doubles(opened: Opened, prints: dict[str, str], cache: Path, look: bool | None) -> tuple[Double, ...] | str:
    """Return the pictures that stand twice, or why nobody looked."""
    key = f"{VERSION} {prints['test']} {prints['train']}"
    path = cache / "thumbnails" / f"{digest(key)}.json"
    if (kept := read_sealed(path, key)) is not None:
        return tuple(map(_from_json, json.loads(kept)))
    train, test = opened()
    if look is None and len(train) + len(test) > QUICK:
        count = len(train) + len(test)
        return f"near duplicates are not looked for among {count:,} images unless asked: bench report --duplicates"
    small = [
        small_pictures(lambda part=part: part, len(part), prints[name], cache, name)  # type: ignore[misc]
        for part, name in ((test, "test"), (train, "train"))
    ]
    found = tuple(_double(pair, train, test) for pair in pairs(*small)[:MOST_DOUBLES])
    keep(path, key, json.dumps([_to_json(one) for one in found]).encode())
    return found


def _double(pair: Pair, train: Split, test: Split) -> Double:
    sides = ((test, pair.row), (train if pair.part == "train" else test, pair.other))
    first, second = ((split.ids[row], _names(split, row), thumbnail(split, row)) for split, row in sides)
    return Double(
        (first[0], second[0]), pair.part, (first[1], second[1]), (first[2], second[2]), round(pair.likeness, 4)
    )


def _names(split: Split, row: int) -> tuple[str, ...]:
    return tuple(name for name, held in zip(split.labels, split.truth[row], strict=True) if held)


def _to_json(one: Double) -> list[object]:
    return [one.ids, one.part, one.labels, [base64.b64encode(part).decode() for part in one.pictures], one.likeness]


def _from_json(entry: list[list[str]]) -> Double:
    ids, part, labels, content, likeness = entry
    first, second = (base64.b64decode(text) for text in content)
    names = (tuple(labels[0]), tuple(labels[1]))
    return Double((ids[0], ids[1]), str(part), names, (first, second), float(likeness))  # type: ignore[arg-type]
