"""What a stored run shows of some test images beside its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.records.checks import FloatArray


@dataclass(frozen=True, slots=True)
class LabelSpace:
    """Label embeddings (labels, D), the shown images' terms (images, D) and the term of the empty prefix (D,)."""

    labels: FloatArray
    images: FloatArray
    start: FloatArray


@dataclass(frozen=True, slots=True)
class Exhibits:
    """Test images by row: small JPEGs of all shown, and of a sequence model searches, label space, attention.

    ``trees`` and ``attention`` are as ``bench.model.inspection`` makes them: a search as JSON values with its
    ``row``, attention maps (2, prefixes, side, side) by row. ``notes`` say what could not be shown, and why.
    """

    pictures: Mapping[int, bytes]
    trees: tuple[Mapping[str, Any], ...] = ()
    label_space: LabelSpace | None = None
    attention: Mapping[int, FloatArray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
