"""Which shards make up a split: patterns with braces, lists of patterns, or files found by name; gaps are noticed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import DataError
from bench_datasets.label_lists import read_lines

SUFFIXES = (".tar", ".parquet")
MOST_SHARDS = 100_000
"""Patterns that stand for more shards are refused: a typing error would fill the memory."""

RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})")
NUMBERED = re.compile(r"(?P<before>.*?)(?P<number>\d+)(?:-of-(?P<count>\d+))?(?P<after>\D*)")


def find_shards(root: Path | None, split: str, pattern: str) -> tuple[Path, ...]:
    """Return the shards of ``split``, in order: those of ``pattern``, or found below ``root`` by the split's name.

    ``pattern`` is a path with braces as in ``train-{000..127}.tar``, or a text file with such a path on each line;
    paths are relative to ``root``, or to the text file. Without one, ``<split>.txt`` is such a file, else shards are
    called ``<split>-*.tar`` or ``.parquet``, in ``root`` or its folder ``data``, or lie in a folder ``<split>``; they
    are numbered without a gap; empty where there are none. Raises ``DataError`` where a shard is missing.
    """
    if not pattern:
        if root is None:
            return ()
        listed = root / f"{split}.txt"
        return _listed(listed) if listed.is_file() else _by_name(root, split)
    place = f"shards of {split}"
    paths = _expanded(pattern, root, place)
    return _listed(paths[0]) if pattern.endswith(".txt") else _checked(paths, place)


def expand_braces(pattern: str) -> Iterator[str]:
    """Yield the texts that ``pattern`` stands for, as a shell expands braces; numbers keep their zeros.

    >>> list(expand_braces("{a,b/c}-{08..10}.tar"))
    ['a-08.tar', 'a-09.tar', 'a-10.tar', 'b/c-08.tar', 'b/c-09.tar', 'b/c-10.tar']
    """
    start = pattern.find("{")
    if start < 0:
        yield pattern
        return
    depth, commas, end = 0, [start], -1
    for place in range(start, len(pattern)):
        depth += {"{": 1, "}": -1}.get(pattern[place], 0)
        if pattern[place] == "," and depth == 1:
            commas.append(place)
        if depth == 0:
            end = place
            break
    if end < 0:
        raise DataError(f"shards: found '{pattern}', and its brace is not closed. Try: train-{{000..127}}.tar")
    texts = [pattern[left + 1 : right] for left, right in zip(commas, [*commas[1:], end], strict=True)]
    if len(texts) == 1 and (numbers := RANGE.fullmatch(texts[0])):
        first, last = numbers.groups()
        if not 0 <= int(last) - int(first) < MOST_SHARDS:
            raise DataError(f"shards: found '{{{texts[0]}}}', allowed: ascending, and at most {MOST_SHARDS:,} shards")
        texts = [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
    for text in texts:
        for middle in expand_braces(text):
            for rest in expand_braces(pattern[end + 1 :]):
                yield pattern[:start] + middle + rest


def _listed(path: Path) -> tuple[Path, ...]:
    """Return the shards that a text file lists."""
    shards: list[Path] = []
    for number, line in read_lines(path, "a shard's path, or a pattern of some, on each line"):
        shards += _checked(_expanded(line.strip(), path.parent, f"{path} line {number}"), f"{path} line {number}")
    if not shards:
        raise DataError(f"{path}: no shards. Expected: a shard's path on each line")
    return _checked(shards, str(path))


def _expanded(pattern: str, folder: Path | None, place: str) -> list[Path]:
    """Return the paths that ``pattern`` stands for, below ``folder`` where they are relative."""
    if "://" in pattern or pattern.startswith("pipe:"):
        raise DataError(f"{place}: found '{pattern}', allowed: files. Shards are read by seeking, so copy them first")
    paths: list[Path] = []
    for text in expand_braces(pattern):
        if folder is None and not Path(text).is_absolute():
            raise DataError(f"{place}: '{text}' is relative, and there is no data root. Try: --data-root DIR")
        paths.append((folder or Path()) / text)
        if len(paths) > MOST_SHARDS:
            raise DataError(f"{place}: '{pattern}' stands for more than {MOST_SHARDS:,} shards")
    return paths


def _checked(shards: Sequence[Path], place: str) -> tuple[Path, ...]:
    seen: set[Path] = set()
    for shard in shards:
        if shard.suffix not in SUFFIXES:
            raise DataError(f"{place}: shard {shard.name}, allowed: names that end in {' or '.join(SUFFIXES)}")
        if not shard.is_file():
            raise DataError(f"{place}: no file {shard}")
        if shard in seen:
            raise DataError(f"{place}: shard {shard} stands twice")
        seen.add(shard)
    return tuple(shards)


def _by_name(root: Path, split: str) -> tuple[Path, ...]:
    """Return the shards that are called after the split; their numbers must have no gap."""
    called = re.compile(rf"{re.escape(split)}([-_.].*)?")
    for folder, own in ((root, False), (root / "data", False), (root / split, True)):
        there = sorted(folder.iterdir()) if folder.is_dir() else []
        shards = [path for path in there if path.suffix in SUFFIXES and (own or called.fullmatch(path.stem))]
        if shards:
            _check_numbers(shards)
            return tuple(shards)
    return ()


def _check_numbers(shards: Sequence[Path]) -> None:
    """Raise ``DataError`` where the numbers in the shards' names show that one is missing."""
    remedy = "Fetch it, or list the shards that you mean in a text file: see docs/your-data.md"
    found: dict[tuple[str, str], dict[int, re.Match[str]]] = {}
    for shard in shards:
        if match := NUMBERED.fullmatch(shard.name):
            found.setdefault((match["before"], match["after"]), {})[int(match["number"])] = match
    for numbers in found.values():
        first, one = min(numbers), numbers[min(numbers)]
        if len(numbers) == 1 and not one["count"] and not one["number"].startswith("0"):
            continue  # a year, perhaps
        last = int(one["count"]) - 1 if one["count"] else max(numbers)
        for number in range(min(first, 1), last + 1):
            if number not in numbers:
                name = one["before"] + str(number).zfill(len(one["number"]))
                name += f"-of-{one['count']}{one['after']}" if one["count"] else one["after"]
                raise DataError(f"{shards[0].parent}: shard {name} is missing. {remedy}")
