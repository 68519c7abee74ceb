"""Write THIRD_PARTY.md: the licence of every dependency, weight and data set; ``nox -s licences`` calls it.

Of packages, what is installed says it, and what those need in turn; a row of one that is not installed here stays as it
was. Weights and data sets stand below, by hand: nothing says their terms in a form that a program could read.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
FILE = ROOT / "THIRD_PARTY.md"
OWN = "multilabel-bench"
BASE, BUILD = "every install", "building"

HEAD = """\
# Licences of what this project uses

Written by `nox -s licences`; weights and data sets by hand, in `.ci/third_party.py`. The project is under Apache-2.0.
Of all packages, its wheel holds code of pybind11 alone, compiled into the kernel; the others are installed beside it.

## Packages

"""

UNTOLD = {
    "cuda-toolkit": "LicenseRef-NVIDIA-Proprietary",  # it holds nothing but the names of NVIDIA's packages
    "skops": "MIT",  # its file LICENSE
}
"""What packages are under whose metadata does not name it."""

WEIGHTS = {
    "digits-cnn": ("in this package", "Apache-2.0, as the package; trained on the handwritten digits below", "-"),
    "torchvision": (
        "downloaded when asked for",
        "code BSD-3-Clause; weights without a licence of their own, trained on ImageNet, whose images are for"
        " non-commercial research",
        "https://github.com/pytorch/vision",
    ),
    "vgg16": ("downloaded when asked for", "torchvision's, see there", "https://github.com/pytorch/vision"),
    "timm": (
        "downloaded when asked for",
        "code Apache-2.0; weights as each model's card on the hub says, some for non-commercial use alone",
        "https://huggingface.co/timm",
    ),
    "crops": ("of the backbone that it crops for", "as that backbone's", "-"),
    "dense-sift": ("none: computed without weights", "-", "-"),
}
"""Backbone -> where its weights are, their terms, and where those are read."""

DATA = {
    "digit-scenes": (
        "in scikit-learn",
        "drawn from Optical Recognition of Handwritten Digits (UCI), CC-BY-4.0",
        "https://archive.ics.uci.edu/dataset/80",
    ),
    "voc2007": (
        "downloaded when asked for",
        "photographs under Flickr's terms of use, of many owners; annotations free to use with citation",
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2007",
    ),
    "coco": (
        "downloaded when asked for",
        "annotations CC-BY-4.0; photographs under the licence that each one's entry names, by Flickr's terms of use",
        "https://cocodataset.org/#termsofuse",
    ),
    "coco2014": ("downloaded when asked for", "as coco", "https://cocodataset.org/#termsofuse"),
    "coco2014-part": (
        "its list of names is in this package",
        "as coco",
        "https://cocodataset.org/#termsofuse",
    ),
    "coco2017": ("downloaded when asked for", "as coco", "https://cocodataset.org/#termsofuse"),
    "nuswide-81": (
        "the user's own copy",
        "lists for research, with citation; photographs of many owners on Flickr",
        "https://lms.comp.nus.edu.sg/wp-content/uploads/2019/research/nuswide/NUS-WIDE.html",
    ),
    "nuswide-1000": ("the user's own copy", "as nuswide-81", "-"),
    "corel5k": (
        "the user's own copy",
        "photographs of Corel's commercial collections: no licence to pass them on is known",
        "-",
    ),
    "huggingface": (
        "downloaded when asked for",
        "as the data set's card on the hub says",
        "https://huggingface.co/datasets",
    ),
    **dict.fromkeys(
        ("csv", "imagefolder", "coco-json", "voc-folder", "shards"), ("the user's own", "the user's own", "-")
    ),
}
"""Data set -> where its files are, their terms, and where those are read."""


def asked_for() -> dict[str, list[str]]:
    """Return the packages that pyproject.toml names, with the extras that ask for each; ``BASE``: no extra."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = table["project"]
    groups = {BASE: project["dependencies"], BUILD: table["build-system"]["requires"]}
    found: dict[str, list[str]] = {}
    for group, requirements in (groups | project["optional-dependencies"]).items():
        for text in requirements:
            if (name := canonical(Requirement(text).name)) != OWN:
                found.setdefault(name, []).append(group)
    return found


def canonical(name: str) -> str:
    """Return a package's name as indices compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed_by(roots: list[str]) -> dict[str, str]:
    """Return the packages that installed ``roots`` need in turn, each with the first that needs it."""
    found: dict[str, str] = {}
    waiting = sorted(roots)
    for name in waiting:
        for requirement in requirements(name):
            other = canonical(requirement.name)
            if other not in roots and other not in found:
                found[other] = name
                waiting.append(other)
    return found


def requirements(name: str) -> Iterator[Requirement]:
    """Yield what an installed package needs here, extras left out."""
    try:
        texts = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return
    for requirement in map(Requirement, texts):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def licence(name: str) -> str | None:
    """Return what an installed package says of its licence; ``None``: it is not installed."""
    try:
        told = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    if name in UNTOLD:
        return UNTOLD[name]
    if expression := told.get("License-Expression"):
        return str(expression)
    text = (told.get("License") or "").strip()
    classifiers = told.get_all("Classifier", [])
    classified = [each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License ::")]
    if text and "\n" not in text and len(text) < 50:
        return text
    return ", ".join(classified) or " ".join(text.split())[:50] or "not said in its metadata"


def rows_of(text: str) -> dict[str, str]:
    """Return the rows of packages in a page that was written before, by name."""
    return {match[1]: match[0] for match in re.finditer(r"^\| `([^`]+)` \|.*\|$", text, re.MULTILINE)}


def page(before: str) -> str:
    """Return the page as what is installed says, with what ``before`` said of packages that are not."""
    old, direct = rows_of(before), asked_for()
    through = needed_by(list(direct))
    rows = {}
    for name in sorted({*direct, *through}):
        if (terms := licence(name)) is not None:
            why = ", ".join(direct[name]) if name in direct else f"through {through[name]}"
            rows[name] = f"| `{name}` | {terms.replace('|', '/')} | {why} |"
        elif name in old:
            rows[name] = old[name]
        elif name in direct:
            raise SystemExit(f"{name} is not installed, and {FILE.name} has no row of it yet. Try: pip install {name}")
    # On another system, with other extras, others are needed.
    rows = {name: row for name, row in old.items() if licence(name) is None and " through " in row} | rows
    lines = [*HEAD.splitlines(), "| package | licence, as its metadata says | asked for by |", "| --- | --- | --- |"]
    lines += [rows[name] for name in sorted(rows)]
    for title, table in (("Weights", WEIGHTS), ("Data sets", DATA)):
        lines += ["", f"## {title}", "", f"| {title.lower()} | where | terms | read at |", "| --- | --- | --- | --- |"]
        lines += [f"| {name} | {' | '.join(told)} |" for name, told in table.items()]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    FILE.write_text(page(FILE.read_text(encoding="utf-8") if FILE.exists() else ""), encoding="utf-8")
    sys.stdout.write(f"{FILE.name}: {len(rows_of(FILE.read_text(encoding='utf-8')))} packages\n")
