"""Where a page's pictures lie: the first ones in the page itself, the others beside it, read as they come into view."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from bench.errors import StoreError
from bench.system.files import atomic_path

EMBEDDED = 60
"""Pictures of a group that are in the page itself."""
NAMED = re.compile(r"[0-9a-f]{20}\.jpg")


@dataclass(slots=True)
class Pictures:
    """The pictures of a page, as they are asked for: ``files`` are those that lie in ``folder`` beside it.

    Files are named by their content, so that the page that is there and the one to come can share them.
    """

    folder: str
    embedded: int = 0
    files: dict[str, bytes] = field(default_factory=dict)

    def source(self, content: bytes) -> str:
        """Return what the ``src`` of ``content`` is."""
        if self.embedded < EMBEDDED or not self.folder:
            self.embedded += 1
            return "data:image/jpeg;base64," + base64.b64encode(content).decode()
        name = f"{hashlib.sha256(content).hexdigest()[:20]}.jpg"
        self.files[name] = content
        return f"{quote(os.fsencode(self.folder))}/{name}"


def beside(page: Path) -> Path:
    """Return the folder of a page's pictures, as browsers name the one of a page that they save. ``StoreError``."""
    if not page.name:
        raise StoreError(f"cannot write {page}: what is there is no plain file. Try: another one with --out")
    return page.with_name(f"{page.stem}_files")


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Put ``files`` into ``folder``, before the page that shows them; those there already are left. ``StoreError``."""
    for name, content in files.items():
        path = folder / name
        try:
            there = path.stat().st_size == len(content)
        except OSError:
            there = False
        if not there:
            with atomic_path(path) as temporary:
                temporary.write_bytes(content)


def tidy(folder: Path, files: Mapping[str, bytes]) -> None:
    """Remove what an earlier page showed and this one does not, after it is written; nothing that is not ours."""
    with contextlib.suppress(OSError, StoreError):
        for path in folder.iterdir():
            if NAMED.fullmatch(path.name) and path.name not in files:
                path.unlink()
        folder.rmdir()  # fails while there is a file in it
