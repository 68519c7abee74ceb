"""Options of the search for label sequences, which follow from the fields of ``SearchOptions``."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from bench.options import Option, OptionValue
from bench.records import SearchOptions

BY_PROTOCOL = "protocol"
"""Where a user does not say, the protocol does: this word, or -1 for a number."""


def left_to_protocol(name: str, value: OptionValue) -> bool:
    """Return whether the search option ``name`` with this value means: as the protocol says."""
    return name in _PROTOCOL_DECIDES and value in {-1, BY_PROTOCOL}


_PROTOCOL_DECIDES = {entry.name for entry in fields(SearchOptions) if entry.metadata["by_protocol"]}


def _search_option(entry: Field[Any], kind: Any) -> Option:
    """Return a field of ``SearchOptions`` as what ``--set`` takes."""
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    default: Any = entry.default
    meaning, minimum = entry.metadata["meaning"], entry.metadata["minimum"]
    if not entry.metadata["by_protocol"]:
        return Option(entry.name, default, meaning, choices, minimum)
    if choices:
        return Option(entry.name, BY_PROTOCOL, meaning, (BY_PROTOCOL, *choices))
    return Option(entry.name, -1, f"{meaning}; -1: as the protocol says", minimum=-1)


SEARCH_OPTIONS: tuple[Option, ...] = tuple(
    _search_option(entry, get_type_hints(SearchOptions)[entry.name]) for entry in fields(SearchOptions)
)
"""Options of the label-sequence search that every sequence model takes; see ``SearchOptions``."""
