"""COCO's instances files: what is read of them, each entry checked."""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import DataError
from bench_datasets.cells import unique
from bench_datasets.label_lists import read_text

READ = frozenset(
    {"images", "annotations", "categories", "id", "name", "file_name", "width", "height"}
    | {"image_id", "category_id", "area", "bbox", "ignore", "score", "neg_category_ids", "coco_url"}
)
"""The names that are read of an instances file."""

OTHERS = "Lines of docs/your-data.md, as for other JSON, make a table of it"


def _slim(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of the file without what is not read: outlines are nine tenths of COCO's own files.

    An image without a ``file_name``, as of LVIS, has the end of its ``coco_url``, as train2017/000000000009.jpg.
    Raises ``ValueError`` for one that is read and stands twice, of which Python would keep the last alone.
    """
    found = unique([(name, value) for name, value in pairs if name in READ])
    url = found.pop("coco_url", None)
    if isinstance(url, str) and "file_name" not in found:
        found["file_name"] = "/".join(url.split("/")[-2:])
    return found


def load(path: Path, expects: str) -> dict[str, Any]:
    """Return what the file holds of what is read. Raises ``DataError`` where it is no object of JSON."""
    if not path.is_file():
        raise DataError(f"no file {path}. '--data-root' should hold {expects}")
    # Millions of objects that all stay: Python would look through them for garbage again and again.
    collecting = gc.isenabled()
    gc.disable()
    try:
        content = json.loads(read_text(path, "JSON", in_lines=False), object_pairs_hook=_slim)
    except json.JSONDecodeError as error:
        raise DataError(f"{path} line {error.lineno} is no JSON: {error.msg}. Is the file whole?") from None
    except ValueError as error:  # a number of thousands of digits, a name that stands twice
        raise DataError(f"{path} is no COCO instances file: {error}") from None
    except RecursionError:
        raise DataError(f"{path} is no COCO instances file: its lists are too deep") from None
    finally:
        if collecting:
            gc.enable()
    if not isinstance(content, dict):
        raise DataError(f"{path} is no COCO instances file: its content is a {type(content).__name__}. {OTHERS}")
    return content


def entries(content: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the objects that the file lists as ``name``. Raises ``ValueError`` where there is something else."""
    found = content[name]
    if not isinstance(found, list):
        raise ValueError(f"'{name}' is {_in_words(found)}, allowed: a list of objects")
    if odd := next((number for number, entry in enumerate(found, 1) if not isinstance(entry, dict)), 0):
        raise ValueError(f"entry {odd:,} of '{name}' is {_in_words(found[odd - 1])}, allowed: an object")
    return found


def is_predicted(entry: Mapping[str, object]) -> bool:
    """Return whether an object has a score, as a detector writes it, that is not 1."""
    score = entry.get("score")
    return isinstance(score, int | float) and score != 1


def is_ignored(entry: Mapping[str, object]) -> bool:
    """Return whether an object is marked ``ignore``. Raises ``ValueError`` for a mark that says neither."""
    value = entry.get("ignore") or 0
    if value not in (0, 1):
        raise ValueError(f"ignore is {value!r:.60}, allowed: 0 or 1, in {entry!s:.120}")
    return value == 1


def _in_words(value: object) -> str:
    """Return a value of JSON for people, lists and objects by their kind alone."""
    return {"list": "a list", "dict": "an object"}.get(type(value).__name__) or f"{json.dumps(value):.60}"


def image_id(entry: Mapping[str, object], name: str) -> Any:
    """Return an image's id, which may be a text, as in files of camera traps; 1 and "1" are two."""
    value = entry[name]
    return value if isinstance(value, str) and value.strip() else whole_id(entry, name)


def whole_id(entry: Mapping[str, object], name: str) -> int:
    """Return an id, which must be a whole number: one that is cut would be another image's or category's."""
    value = entry[name]
    if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, float) and value.is_integer())):
        raise ValueError(f"{name} is {value!r:.60}, allowed: a whole number, in {entry!s:.120}")
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{name} is beyond 64 bits, in {entry!s:.120}")
    return int(value)


def text(entry: Mapping[str, object], name: str) -> str:
    """Return a text that is not blank."""
    value = entry[name]
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(f"{name} is {value!r:.60}, allowed: text, in {entry!s:.120}")
    return value


def check_unique(path: Path, what: str, values: Sequence[object]) -> None:
    """Raise ``DataError`` for a value that stands twice."""
    seen: set[object] = set()
    if twice := [value for value in values if value in seen or seen.add(value)]:  # type: ignore[func-returns-value]
        raise DataError(f"{path}: {what} {twice[0]!r} stands twice")
