"""A group's contents as the page's templates take them: texts, and sources of pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.show.report.contents import Contents, Double, Doubt
from bench.show.report.gallery import Card
from bench.show.report.labels import LabelRow
from bench.show.report.side_folder import Pictures

OPEN_CARDS = 6
"""Cards that are seen without opening the others."""
SIGNS = {"r": "✓", "w": "✗", "m": "○"}
WIDTH, HEIGHT = 72, 22
"""Of a small curve, in pixels."""


def of(found: Contents, pictures: Pictures) -> dict[str, Any]:
    """Return what the templates show of ``found``; ``pictures`` are asked in the order of the page."""
    shown = [_card(card, found, pictures) for card in found.cards]
    used = sorted({label for card in found.cards for label in card.labels}, key=lambda label: found.names[label])
    return {
        "models": found.rows,
        "judges": found.judges,
        "images": found.images,
        "erring": found.erring,
        "cards": shown[:OPEN_CARDS],
        "more_cards": shown[OPEN_CARDS:],
        "used_labels": [(label, found.names[label]) for label in used],
        "doubts": [_doubt(doubt, found, pictures) for doubt in found.doubts],
        "doubted": found.doubted,
        "pairs": [_pair(one) for one in found.pairs],
        "doubles": None if found.doubles is None else [_double(one, pictures) for one in found.doubles],
        "labels": [_label(row) for row in found.labels],
        "contents_remarks": found.remarks,
    }


def _card(card: Card, found: Contents, pictures: Pictures) -> dict[str, Any]:
    picture = found.pictures.get(card.row)
    return {
        "id": card.id,
        "truth": card.truth,
        "source": "" if picture is None else pictures.source(picture),
        "columns": [(name, place < len(card.truth)) for place, name in enumerate(card.columns)],
        "lines": [
            (model, [(letter, SIGNS.get(letter, "")) for letter in letters], more)
            for model, (letters, more) in zip(found.rows, card.lines, strict=True)
        ],
        "more": any(more for _, more in card.lines),
        "labels": " ".join(map(str, card.labels)),
        "disagree": card.disagree,
        "sure": f"{100 * card.certainty:.0f}" if card.certainty >= 0.005 else "",
    }


def _doubt(doubt: Doubt, found: Contents, pictures: Pictures) -> dict[str, Any]:
    picture = found.pictures.get(doubt.row)
    return {
        "id": doubt.id,
        "label": doubt.label,
        "given": doubt.given,
        "sure": f"{100 * doubt.doubt:.0f}",
        "source": "" if picture is None else pictures.source(picture),
    }


def _pair(one: Any) -> dict[str, Any]:
    return {
        "labels": one.labels,
        "true": one.true,
        "predicted": one.predicted,
        "off": f"{one.off:+.1f}",
        "often": one.off > 0,
    }


def _double(one: Double, pictures: Pictures) -> dict[str, Any]:
    sides: Sequence[Mapping[str, Any]] = [
        {"id": identity, "labels": labels, "source": pictures.source(content), "part": part}
        for identity, labels, content, part in zip(one.ids, one.labels, one.pictures, ("test", one.part), strict=True)
    ]
    return {"sides": sides, "equal": one.equal, "likeness": f"{one.likeness:.3f}"}


def _label(row: LabelRow) -> dict[str, Any]:
    return {
        "label": row.label,
        "images": row.images,
        "ap": [(_percent(value), "" if math.isnan(value) else value, round(value, 3) == row.best) for value in row.ap],
        "precision": (_percent(row.precision), "" if math.isnan(row.precision) else row.precision),
        "recall": (_percent(row.recall), "" if math.isnan(row.recall) else row.recall),
        "curve": _points(row.curve),
    }


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def _points(curve: Sequence[float]) -> str:
    """Return an SVG polyline's points: recall to the right, precision upwards."""
    last = max(len(curve) - 1, 1)
    return " ".join(
        f"{1 + (WIDTH - 2) * place / last:.1f},{1 + (HEIGHT - 2) * (1 - value):.1f}"
        for place, value in enumerate(curve)
    )
