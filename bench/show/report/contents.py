"""What a report shows of a group beside its table and figures: labels, errors, doubts, pairs, pictures that repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.evaluation.label_errors import most_likely
from bench.guard import reason
from bench.show.report import evidence as evidences
from bench.show.report.gallery import Card, cards
from bench.show.report.gather import Group, finished
from bench.show.report.labels import LabelRow, label_rows
from bench.show.report.pairs_of_labels import LabelPair, label_pairs
from bench.store.run_folder import RunFolder

MOST_DOUBTS = 100


@dataclass(frozen=True, slots=True)
class Doubt:
    """A label of a test image that is likely wrong: ``given`` or not, and how sure the judges are of the opposite."""

    row: int
    id: str
    label: str
    given: bool
    doubt: float


@dataclass(frozen=True, slots=True)
class Double:
    """Two pictures that look the same: a test image, and one of test or train. ``equal``: their labels are the same."""

    ids: tuple[str, str]
    part: str
    labels: tuple[tuple[str, ...], tuple[str, ...]]
    pictures: tuple[bytes, bytes]
    likeness: float

    @property
    def equal(self) -> bool:
        """Return whether both have the same labels."""
        return set(self.labels[0]) == set(self.labels[1])


@dataclass(frozen=True, slots=True)
class Contents:
    """``rows`` are the models in the table's order; ``pictures`` thumbnails of test images by their row.

    ``erring`` and ``images`` are how many test images some model errs on, and how many there are. ``doubts`` are at
    most ``MOST_DOUBTS`` of ``doubted``. ``doubles`` is ``None`` where nobody looked. ``remarks`` say what is not shown,
    and why.
    """

    rows: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    images: int = 0
    labels: tuple[LabelRow, ...] = ()
    cards: tuple[Card, ...] = ()
    erring: int = 0
    doubts: tuple[Doubt, ...] = ()
    doubted: int = 0
    pairs: tuple[LabelPair, ...] = ()
    pictures: Mapping[int, bytes] = field(default_factory=dict)
    doubles: tuple[Double, ...] | None = None
    remarks: tuple[str, ...] = ()


def of_group(group: Group, most: int) -> Contents:
    """Return the contents of ``group`` with at most ``most`` cards, and the pictures that its runs have stored."""
    folders = finished(group.table, group.runs)
    try:
        return _of_finished(group, folders, most) if folders else Contents()
    except Exception as error:  # what is shown beside the table must not cost the page
        return Contents(remarks=(f"no labels and errors are shown: {reason(error)}",))


def _of_finished(group: Group, folders: Mapping[str, Sequence[RunFolder]], most: int) -> Contents:
    firsts = {label: members[0] for label, members in folders.items()}
    evidence = evidences.gathered(group.table.rows, firsts)
    by_key = {run.key: run for run in group.runs}
    runs = {row.label: [by_key[key] for key in row.keys] for row in group.table.rows}
    shown, erring = cards(evidence, most)
    truth = evidence.truth
    doubts, doubted = most_likely(evidence.chances(), MOST_DOUBTS) if evidence.judges else ([], 0)
    return Contents(
        rows=tuple(evidence.predicted),
        judges=tuple(judge.name for judge in evidence.judges),
        names=truth.labels,
        images=len(truth.ids),
        labels=tuple(label_rows(evidence, runs)),
        cards=tuple(shown),
        erring=erring,
        doubts=tuple(
            Doubt(one.row, truth.ids[one.row], truth.labels[one.label], one.given, one.doubt) for one in doubts
        ),
        doubted=doubted,
        pairs=tuple(label_pairs(evidence)),
        pictures=_stored(firsts) if most else {},
    )


def _stored(folders: Mapping[str, RunFolder]) -> dict[int, bytes]:
    """Return the pictures that the first run with any has stored."""
    return next((folder.exhibits.gallery() for folder in folders.values() if folder.has("gallery")), {})
