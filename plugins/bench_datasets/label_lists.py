"""What the data sets share: text files read with care, names looked up, labels without images left out."""

from __future__ import annotations

import codecs
import io
import itertools
import shlex
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import bench
from bench import DataError, Option, OptionValue, UsageError

if TYPE_CHECKING:
    import numpy as np

    from bench import BoolArray
else:
    np = bench.lazy_import("numpy")

ABSENT = Option(
    "absent_labels",
    "error",
    "labels without an image in train: refuse, or leave them out of the data set and say so",
    choices=("error", "drop"),
)

DROP_ABSENT = f"--set dataset.{ABSENT.name}=drop"
"""What a user types so that they are left out."""


ENCODING = Option("encoding", "utf-8", "of the tables, as in cp1252 for what Excel writes in western Europe")
MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
"""First bytes that are sure to be of another encoding than UTF-8, and which."""

WORDS = {"blank": " ", "tab": "\t", "line": "\n", "comma": ",", "semicolon": ";", "pipe": "|"}
"""What is typed for a separator that a command line would lose, or that a shell reads otherwise."""


LONGEST_LINE = 1 << 24
"""Bytes of a line of a table or list, lists of labels in a cell included. A file of something else may be one line,
each cell of which would take fifty times its bytes."""


def read_text(path: Path, expected: str, encoding: str = "", *, in_lines: bool = True) -> str:
    """Return the text of a file, without its byte-order mark; ``expected`` says what the file should be.

    ``in_lines``: it is one of lines, and refused where one of them is longer than ``LONGEST_LINE`` bytes.

    UTF-16 is read where its mark is there. Raises ``DataError`` where the file is absent or, with the line, not text in
    ``encoding``; an ``encoding`` that is not empty is one that the user can set.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"no file {path}. Expected there: {expected}") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}. Expected there: {expected}") from None
    except ValueError as error:  # a name that no system has
        raise DataError(f"cannot read {path}: {error}. Expected there: {expected}") from None
    if in_lines and (number := _too_long(content)):
        raise DataError(
            f"{path} line {number}: longer than {LONGEST_LINE:,} bytes. Expected: {expected}."
            " Is there a line end missing?"
        )
    told = encoding.lower().replace("_", "-") not in {"", "utf-8", "utf8", "utf-8-sig"}
    chosen = encoding if told else MARKS.get(content[:2], "utf-8-sig")
    try:
        text = content.decode(chosen)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        other = "utf-8" if told else _likely(content)
        remedy = (
            f"--set dataset.encoding={other}" if encoding else f"iconv -f {other} -t utf-8 {shlex.quote(str(path))}"
        )
        name = chosen.upper().removesuffix("-SIG")
        raise DataError(
            f"{path} line {line}: not {name} text, perhaps {other}. Expected: {expected}. Try: {remedy}"
        ) from None
    except (LookupError, ValueError):  # no encoding, one of no text, or no name of one
        raise UsageError(
            f"option encoding: found '{encoding}', allowed: what Python knows, as utf-8, cp1252, gb18030 or shift_jis."
            " Try: --set dataset.encoding=cp1252"
        ) from None
    text = text.lstrip("\ufeff")  # a second mark, where a program wrote one before the one that it had read
    if "\0" in text:
        other = _likely(content)
        remedy = (
            f"--set dataset.encoding={other}" if encoding else f"iconv -f {other} -t utf-8 {shlex.quote(str(path))}"
        )
        raise DataError(
            f"{path}: holds zero bytes, so it is no {chosen.upper().removesuffix('-SIG')} text. Try: {remedy}"
        )
    return text


def _too_long(content: bytes) -> int:
    """Return the number of the first line longer than ``LONGEST_LINE`` bytes, 0 where there is none."""
    start = 0
    while len(content) - start > LONGEST_LINE:
        end = content.rfind(b"\n", start, start + LONGEST_LINE + 1)
        if end < 0:
            return content.count(b"\n", 0, start) + 1
        start = end + 1
    return 0


def _likely(content: bytes) -> str:
    """Return the encoding that text which is not UTF-8 is most likely in."""
    if content[:200].count(0) * 3 > len(content[:200]):
        return "utf-16-be" if content[:1] == b"\0" else "utf-16-le"
    return "cp1252"


def read_lines(path: Path, expected: str) -> list[tuple[int, str]]:
    """Return (line number from 1, text) of each line that is not blank; Windows line ends are accepted."""
    # str.splitlines would also split at separators that may stand inside a name, such as U+2028.
    lines = enumerate(io.StringIO(read_text(path, expected), newline=None), 1)
    return [(number, line.rstrip("\n")) for number, line in lines if line.strip()]


def separator(options: Mapping[str, OptionValue]) -> str:
    """Return the text that separates label names, for the option ``separator``; ``UsageError`` where it is empty."""
    text = str(options["separator"])
    if not text:
        raise UsageError(
            "option separator: found '', allowed: text of one letter or more. Try: --set 'dataset.separator=;'"
        )
    if (word := text.strip()) in WORDS:
        return WORDS[word]
    if text.isalpha() and text.isascii():
        raise UsageError(
            f"option separator: found '{text}', a word without blanks around it, which names hold, as sand holds and."
            f" Try: --set 'dataset.separator= {text} '"
        )
    return text


def read_names(path: Path, *, numbered: bool = False) -> tuple[str, ...]:
    """Return the label names of a file with one on each line; raises ``DataError`` where one stands twice.

    ``numbered``: a blank line between them is an empty name, so that each has the number of its line, from 0.
    """
    lines: dict[str, int] = {}
    for number, line in read_lines(path, "a label name on each line"):
        name = unicodedata.normalize("NFC", line).strip()
        first = lines.setdefault(name, number)
        if first != number:
            raise DataError(f"{path} line {number}: label '{name}' stands twice, first in line {first}")
    if not lines:
        raise DataError(f"{path}: no label. Expected: a label name on each line")
    of_lines = {number: name for name, number in lines.items()}
    return tuple(of_lines.get(number, "") for number in range(1, max(of_lines) + 1)) if numbered else tuple(lines)


def read_image_names(path: Path, name: Callable[[str], str]) -> list[str]:
    """Return the images of a list file in order, ``name`` of each line.

    Raises ``DataError`` where one stands twice or lies outside the image folder, or where there is none.
    """
    lines: dict[str, int] = {}
    for number, line in read_lines(path, "an image on each line"):
        image = name(line)
        if image.startswith("/") or ".." in image.split("/"):
            raise DataError(f"{path} line {number}: '{image}' lies outside the image folder")
        if lines.setdefault(image, number) != number:
            raise DataError(f"{path} line {number}: image {image} stands twice, first in line {lines[image]}")
    if not lines:
        raise DataError(f"{path}: no images")
    return list(lines)


def matrix(label_sets: Sequence[Collection[int]], labels: int) -> BoolArray:
    """Return label indices per image as truth, (images, ``labels``) bool."""
    truth = np.zeros((len(label_sets), labels), dtype=np.bool_)
    rows = np.repeat(np.arange(len(label_sets)), np.fromiter(map(len, label_sets), dtype=np.intp))
    truth[rows, np.fromiter(itertools.chain.from_iterable(label_sets), dtype=np.intp, count=len(rows))] = True
    return truth


def labels_kept(train: BoolArray, absent: str) -> BoolArray:
    """Return which labels stay, (labels,) bool: all, or with ``absent="drop"`` those with an image in train."""
    if absent != "drop":
        return np.ones(train.shape[1], dtype=np.bool_)
    kept: BoolArray = np.asarray(train.any(axis=0))
    return kept
