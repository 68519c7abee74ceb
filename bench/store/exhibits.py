"""What a stored run shows of some test images, as files: pictures, search trees, label space, attention maps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.records import Exhibits, FloatArray, LabelSpace
from bench.store.sealed import SealedFolder, reads


@dataclass(frozen=True, slots=True)
class StoredExhibits:
    """The exhibits of the run in folder ``path``. Reads raise ``StoreError`` naming the file."""

    path: Path

    @property
    def _files(self) -> SealedFolder:
        return SealedFolder(self.path)

    def write(self, exhibits: Exhibits) -> None:
        """Store the gallery and, of a run that has them, trees, label space and attention."""
        pictures = exhibits.pictures
        if pictures:
            ends = np.cumsum([len(picture) for picture in pictures.values()])
            self._files.write_arrays(
                "gallery.npz",
                rows=np.array(list(pictures), dtype=np.int64),
                ends=ends.astype(np.int64),
                content=np.frombuffer(b"".join(pictures.values()), dtype=np.uint8),
            )
        if exhibits.trees:
            self._files.write_json("trees.json", {"trees": exhibits.trees})
        if exhibits.label_space:
            self._files.write_arrays("embedding.npz", **asdict(exhibits.label_space))
        if exhibits.attention:
            maps = {f"map_{row}": array.astype(np.float16) for row, array in exhibits.attention.items()}
            self._files.write_arrays("attention.npz", **maps)

    @reads("gallery.npz")
    def gallery(self) -> dict[int, bytes]:
        """Return the JPEG of each shown test image by its row."""
        stored = self._files.read_arrays("gallery.npz")
        content, ends = stored["content"].tobytes(), stored["ends"].tolist()
        starts = [0, *ends[:-1]]
        rows = stored["rows"].tolist()
        return {row: content[start:end] for row, start, end in zip(rows, starts, ends, strict=True)}

    @reads("trees.json")
    def trees(self) -> list[dict[str, Any]]:
        """Return the searches of some test images."""
        return [dict(tree) for tree in self._files.read_json("trees.json")["trees"]]

    @reads("embedding.npz")
    def label_space(self) -> LabelSpace:
        """Return the label embeddings and the shown images' terms."""
        stored = self._files.read_arrays("embedding.npz")
        space: LabelSpace = self._files.parse("embedding.npz", lambda: LabelSpace(**stored))
        return space

    @reads("attention.npz")
    def attention(self) -> dict[int, FloatArray]:
        """Return the attention maps, (2, prefixes, side, side), by the row of their test image."""
        stored = self._files.read_arrays("attention.npz")
        return {int(name.removeprefix("map_")): array.astype(np.float32) for name, array in stored.items()}
