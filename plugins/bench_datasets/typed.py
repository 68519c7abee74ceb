"""What a user types to set an option of a data set: as a shell takes it, and as its reader takes it apart again."""

from __future__ import annotations

import csv
import io


def typed(option: str, *entries: str) -> str:
    """Return how ``option`` is set to ``entries``, which ``entries_of`` gives back.

    >>> print(typed("not_labels", "age, years", "don't know"))
    --set 'dataset.not_labels="age, years",don'"'"'t know'
    """
    return as_typed(option, _joined(entries))


def as_typed(option: str, text: str) -> str:
    """Return how ``option`` is set to a text, whatever letters that holds."""
    return "--set '" + f"dataset.{option}={text}".replace("'", "'\"'\"'") + "'"


def entries_of(text: str) -> list[str]:
    """Return the entries of an option that holds several, separated by commas; one with a comma stands in quotes.

    >>> entries_of('"age, years", sex,')
    ['age, years', 'sex']
    """
    rows = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    return [entry.strip() for row in rows for entry in row if entry.strip()]


def _joined(entries: tuple[str, ...]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(entries)
    return line.getvalue()
