"""Tables as people write them, opened with options as they type them."""

import re
import shlex

import open_sets

from bench.options import parse_assignments


def opened(root, *typed, name="csv", train=None, **options):
    """Open a data set; ``typed`` are texts as after ``--set``."""
    given = {key.removeprefix("dataset."): value for key, value in parse_assignments(typed).items()}
    return open_sets.opened(name, root, train, **given | options)


def pictures(root, part, count):
    for number in range(count):
        open_sets.picture(root / f"{part}{number}.png", number)


def write(root, *lines, encoding="utf-8", ending="csv"):
    """Write train.csv and test.csv of the same lines; {} in them is a picture's name."""
    for part in ("train", "test"):
        pictures(root, part, len(lines) - 1)
        rows = [lines[0], *(line.format(f"{part}{number}.png") for number, line in enumerate(lines[1:]))]
        (root / f"{part}.{ending}").write_bytes("\r\n".join(rows).encode(encoding))
    return root


def remedies(error):
    """Return what a message says to type after --set."""
    return [shlex.split(word)[0] for word in re.findall(r"""--set ((?:'[^']*'|"[^"]*"|[^\s'",;])+)""", str(error))]
