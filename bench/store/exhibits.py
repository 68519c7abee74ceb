"""What a stored run shows of some test images: pictures, search trees, embeddings, attention maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.records import FloatArray
from bench.store.sealed import SealedFolder


@dataclass(frozen=True, slots=True)
class Exhibits:
    """The exhibits of the run in folder ``path``. Reads raise ``StoreError`` naming the file."""

    path: Path

    @property
    def _files(self) -> SealedFolder:
        return SealedFolder(self.path)

    def write_gallery(self, rows: list[int], pictures: list[bytes]) -> None:
        """Store small JPEGs of the test images ``rows``."""
        ends = np.cumsum([len(picture) for picture in pictures])
        self._files.write_arrays(
            "gallery.npz",
            rows=np.array(rows, dtype=np.int64),
            ends=ends.astype(np.int64),
            content=np.frombuffer(b"".join(pictures), dtype=np.uint8),
        )

    def write_trees(self, trees: list[dict[str, Any]]) -> None:
        """Store the searches of some test images, see ``bench.model.inspection.search_tree``."""
        self._files.write_json("trees.json", trees)

    def write_embedding(self, *, labels: FloatArray, images: FloatArray, start: FloatArray) -> None:
        """Store label embeddings (labels, D), the gallery's image terms (images, D) and the first prefix term (D,)."""
        self._files.write_arrays("embedding.npz", labels=labels, images=images, start=start)

    def write_attention(self, rows: list[int], maps: list[FloatArray]) -> None:
        """Store the attention maps of the test images ``rows``, see ``bench.model.inspection.attention``."""
        arrays = {f"map_{row}": array.astype(np.float16) for row, array in zip(rows, maps, strict=True)}
        self._files.write_arrays("attention.npz", **arrays)

    def read_gallery(self) -> dict[int, bytes]:
        """Return the JPEG of each shown test image by its row."""
        stored = self._files.read_arrays("gallery.npz")
        content, ends = stored["content"].tobytes(), stored["ends"].tolist()
        starts = [0, *ends[:-1]]
        rows = stored["rows"].tolist()
        return {row: content[start:end] for row, start, end in zip(rows, starts, ends, strict=True)}

    def read_trees(self) -> list[dict[str, Any]]:
        """Return the searches of some test images."""
        return list(self._files.read_json("trees.json"))

    def read_embedding(self) -> dict[str, FloatArray]:
        """Return ``labels``, ``images`` and ``start`` as they were written."""
        return dict(self._files.read_arrays("embedding.npz"))

    def read_attention(self) -> dict[int, FloatArray]:
        """Return the attention maps, (2, prefixes, side, side), by the row of their test image."""
        stored = self._files.read_arrays("attention.npz")
        return {int(name.removeprefix("map_")): array.astype(np.float32) for name, array in stored.items()}
