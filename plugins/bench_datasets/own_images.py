"""A user's own images as a data set: what is left to do once labels are read and images found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import DataError, Dataset, DatasetRequest, Images, Option, OptionValue, Split, narrow
from bench_datasets.cells import canonical
from bench_datasets.label_lists import labels_kept, matrix, read_names
from bench_datasets.label_names import KEEP_ODD, cleaned, composed, meaning_none
from bench_datasets.listing import counted
from bench_datasets.part_words import SPLIT_NAMES, part_of

FEW = 5
"""Images of a part that may all have the same labels without a word."""

K = Option("k", 3, "labels that score models give each image", minimum=1)

NAMES = {"train": ("train",), "test": ("test",), "validation": ("validation", "valid", "val")}
NAMES = {part: (*names, *map(str.capitalize, names)) for part, names in NAMES.items()}
"""What the files or folders of each part are called, the first that is there being taken; CVAT's have capitals."""


def usual_name(part: str, is_there: Callable[[str], bool], taken: Collection[str | None] = ()) -> str:
    """Return the first usual name of a part that is not ``taken`` and ``is_there``; empty without one."""
    return next((name for name in NAMES[part] if name not in taken and is_there(name)), "")


def part_names(request: DatasetRequest, is_there: Callable[[str], bool]) -> dict[str, str]:
    """Return what train, test and validation are called: as asked for, else by the usual name that ``is_there``.

    Without a validation part there is no entry for it; train and test have one whether they are there or not.
    """
    asked = {"train": request.train_split, "test": request.test_split}
    chosen = {}
    for part in NAMES:
        name = asked.get(part) or usual_name(part, is_there, asked.values())
        if name or part != "validation":
            chosen[part] = name or part
    return chosen


def other_parts(part: str, used: Collection[str], there: Collection[str]) -> str:
    """Return what to type where ``part`` is not there: names of ``there`` that are not ``used``; empty without one.

    >>> other_parts("test", ["train", "test"], ["train", "val"])
    '. There is val. Try: --test-split val'
    >>> other_parts("train", ["train", "test"], ["custom_train", "custom_val"])
    '. There is custom_train, custom_val. Try: --train-split custom_train'
    """
    others = {"train": {"test"}, "test": {"train"}}.get(part, set())  # images that are trained on are no test
    free = [name for name in {*there} - {*used} if part_of(name) not in others]
    free.sort(key=lambda name: (part_of(name) != part, name.lower() not in SPLIT_NAMES, name))
    best = [name for name in free if part_of(name) == part] or [name for name in free if name.lower() in SPLIT_NAMES]
    name = next(iter(best if len(best) == 1 else free if len(free) == 1 else ["NAME"]))
    return f". There is {', '.join(free[:5])}. Try: --{part}-split {name}" if free else ""


@dataclass(frozen=True, slots=True)
class Part:
    """One split as read: the labels of each image, and by ``place(row)`` where they stand, for errors.

    Labels are tuples of names, or values that ``label_values.named`` turns into them. ``ignored`` are the names that
    count neither way for an image. ``notes`` are lines for people on what was passed over, ``groups`` as in ``Split``.
    """

    name: str
    ids: tuple[str, ...]
    labels: Sequence[Any]
    images: Images
    place: Callable[[int], str]
    ignored: Sequence[tuple[str, ...]] | None = None
    notes: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None


def assemble(
    dataset: str,
    title: str,
    parts: Mapping[str, Part],
    options: Mapping[str, OptionValue],
    *,
    listed: Path | None = None,
    names: Sequence[str] = (),
    how: str = "",
    remedy: str = "",
    separator: str | None = None,
) -> Dataset:
    """Return the data set of ``parts``: train, test and perhaps validation.

    Labels are in the order of the file ``listed`` where there is one, else of ``names``, else sorted. ``separator`` is
    what texts were split at to make names. Raises ``DataError`` for a label that the list lacks, for odd names, and
    where no image has a label; ``remedy`` ends that message.
    """
    parts = cleaned(parts, options, separator)
    names = tuple(map(composed, names))
    found = {label for part in parts.values() for labels in part.labels for label in labels}
    words = {SPLIT_NAMES[label.lower()]: label for label in sorted(found) if label.lower() in SPLIT_NAMES}
    # A train is something that pictures show, and what is not invalid is valid; a test is a folder within train.
    may_be = {"train", "validation"} if "invalid" in map(str.lower, found) else {"train"}
    told = len(words) > 1 or (separator is not None and not words.keys() <= may_be)
    if told and str(options.get("odd_names", "error")) == "error":
        what = "labels {} are words for parts" if len(words) > 1 else "label {} is a word for a part"
        raise DataError(
            f"{title}: {what.format(' and '.join(map(repr, words.values())))}. Is it the column or folder of the"
            f" split? Try: take it out of the labels, or if it is one: {KEEP_ODD}"
        )
    from_file = listed is not None and listed.is_file()
    order = read_names(listed) if listed is not None and from_file else tuple(names) or _in_order(found)
    none = meaning_none(options)
    order = tuple(name for name in order if name not in none)
    if not found or not order:
        raise DataError(f"{title}: no image has a label. {remedy}")
    column = {label: number for number, label in enumerate(order)}
    splits = {}
    for key, part in parts.items():
        # An uncertain 'No Finding' says nothing of the labels.
        ignored = [[name for name in map(composed, labels) if name not in none] for labels in part.ignored or ()]
        for row, labels in enumerate(part.labels):
            named = (*labels, *(ignored[row] if ignored else ()))
            if strange := next((label for label in named if label not in column), None):
                where = listed if from_file else "the names of the labels"
                number = canonical(strange)
                hint = "labels_are" in options and number.isdecimal() and len(number) < 9 and int(number) < len(order)
                raise DataError(
                    f"{part.place(row)}: unknown label '{strange}', not in {where}"
                    + (
                        ". Try: --set dataset.labels_are=numbers where it is a label's number"
                        if hint
                        else f". Try: a line '{strange}' there" * from_file
                    )
                )
        truth = matrix([[column[label] for label in labels] for labels in part.labels], len(order))
        ignore = matrix([[column[label] for label in labels] for labels in ignored], len(order)) if ignored else None
        splits[key] = Split(dataset, part.name, part.ids, order, truth, part.images, ignore, None, part.groups)
    train = splits["train"]
    if train.ignore is not None and (train.truth | train.ignore).all():
        raise DataError(
            f"{title}: no image of {train.name} is without a label that it could have: all others are ignored."
            " Try: :0 instead of :ignore in --set dataset.values, if that value says that a label is not there"
        )
    kept = labels_kept(splits["train"].truth, str(options["absent_labels"]))
    if not kept.all():
        splits = {key: narrow(split, kept) for key, split in splits.items()}
    count = int(kept.sum())
    counts = " / ".join(f"{split.name} {len(split):,}" for split in splits.values())
    left_out = f"{len(order) - count} labels without an image in train left out" if count < len(order) else ""
    return Dataset(
        name=dataset,
        variant=", ".join(filter(None, (f"{title}: {counts} images", f"{count} labels", how, left_out))),
        train=splits["train"],
        test=splits["test"],
        protocol=f"top{min(int(options['k']), count)}@1",
        validation=splits.get("validation"),
        source="your own images",
        notes=(
            *(note for part in parts.values() for note in part.notes),
            *_on_all_images(splits["train"]),
            *(note for key, split in splits.items() if key != "train" for note in _filled_in(split)),
        ),
    )


def _on_all_images(train: Split) -> tuple[str, ...]:
    images, counts = len(train), train.truth.sum(axis=0).tolist()
    names = [name for name, count in zip(train.labels, counts, strict=True) if count == images > 1]
    told = tuple(f"label '{name}' is on every image of {train.name}" for name in names)
    if train.ignore is None:
        return told
    either = (train.truth | train.ignore).sum(axis=0).tolist()
    seen = [name for name, count, of in zip(train.labels, counts, either, strict=True) if 0 < count < of == images]
    return told + counted(train.name, {"labels are on every image on which they count": seen})


def _filled_in(split: Split) -> tuple[str, ...]:
    """Return a note where all images have the labels of the first, as of a competition's table that is to be filled in.

    Few images may have so by chance.
    """
    first = split.truth[0]
    if len(split) < FEW or not all((row == first).all() for row in split.truth):
        return ()
    names = ", ".join(label for label, true in zip(split.labels, first, strict=True) if true)
    told = (
        f"all images of {split.name} have the same labels, {names}"
        if names
        else f"no image of {split.name} has a label"
    )
    return (f"{told}: nothing can be measured or chosen on it. Is it a table to fill in?",)


def _in_order(names: Collection[str]) -> tuple[str, ...]:
    """Return the names sorted; where all are numbers, 2 comes before 10."""
    numbers = all(name.isdecimal() for name in names)
    return tuple(sorted(names, key=lambda name: (int(name) if numbers else 0, name)))
