"""Protocols, report sections and table formats that each break one rule of their contract, and what is said of them."""

from bad_parts import COUNT, be_loud, phone, touch_elsewhere

import bench


def protocol(**fields):
    return bench.Protocol(**{"name": "mine@1", "summary": "two labels an image", "k": 2} | fields)


BAD_PROTOCOLS = {
    "says-what-it-is": (protocol(summary="two\nlabels"), "summary is 'two\\nlabels'"),
    "name-is-its-own": (protocol(name="top3@1"), "the host's own has another summary, k"),
    "sequences-may-be-as-long": (protocol(max_length=1), "k is 2, a sequence ends after 1 labels at most"),
}
"""Check -> a protocol that fails it and no other, and what is said."""


def per_run(value):
    """A section of one table: ``value`` of each run."""

    def tables(folders):
        rows = tuple((run.model, run.seed, value(run)) for folder in folders for run in bench.runs(folder))
        return [bench.TrackedTable("own", "Own", ("model", "seed", "value"), rows)]

    return tables


hits = per_run(lambda run: float((run.truth & run.predicted).any(axis=1).mean()))


def after_table(action):
    def tables(folders):
        action()
        return hits(folders)

    return tables


BAD_SECTIONS = {
    "gives-tables": (lambda folders: hits(folders)[0], "tables gave a TrackedTable, must give a list"),
    "cells-can-be-shown": (per_run(lambda run: run.labels), "'Own' holds a tuple: ('cat', "),
    "says-the-same-again": (per_run(lambda run: next(COUNT)), "it gives other tables"),
    "one-run-is-enough": (lambda folders: hits(folders) if folders[1] else [], "IndexError"),
    "odd-runs-are-taken": (per_run(lambda run: int(100 * run.per_class["ap"][-1])), "cannot convert float NaN"),
    "leaves-runs-alone": (
        per_run(lambda run: (run.path / "seen.txt").write_text(str(next(COUNT))) * 0),
        "seen.txt",
    ),
    "leaves-global-state": (after_table(be_loud), "it changed environment, warnings"),
    "writes-nothing-elsewhere": (after_table(touch_elsewhere), "it wrote "),
    "asks-no-network": (after_table(phone), "it asked for example.org"),
}


def listed(tables):
    """A sound format: the name of each row, and what is measured of it."""
    return "".join(
        f"{row['label']} {[round(cell['mean'], 1) for cell in row['cells'].values()]}\n"
        for table in tables
        for row in table["rows"]
    )


def after_text(action):
    def render(tables):
        action()
        return listed(tables)

    return render


def every_cell(tables):
    return "".join(
        f"{row['label']} {[row['cells'][name]['mean'] for name in table['columns'] if row['cells']]}\n"
        for table in tables
        for row in table["rows"]
    )


BAD_FORMATS = {
    "gives-text": (lambda tables: "bce", "rows are absent: cnn-rnn"),
    "says-the-same-again": (lambda tables: f"{listed(tables)}{next(COUNT)}", "another text"),
    "several-tables": (lambda tables: listed(tables[:1]), "rows are absent: softmax"),
    "undefined-cells": (every_cell, "KeyError: 'mAP'"),
    "failed-rows": (
        lambda tables: "".join(f"{row['label']}\n" for table in tables for row in table["rows"] if row["cells"]),
        "rows are absent: own",
    ),
    "odd-names-are-taken": (lambda tables: listed(tables).encode("ascii").decode(), "UnicodeEncodeError"),
    "leaves-global-state": (after_text(be_loud), "it changed environment, warnings"),
    "writes-nothing-elsewhere": (after_text(touch_elsewhere), "it wrote "),
    "asks-no-network": (after_text(phone), "it asked for example.org"),
}
