"""Whether one commit is slower than another: ``nox -s compare_speed -- OLD NEW``.

Both are checked out beside each other, each with a kernel built from its own sources, and the benchmarks of NEW run
alternately on the one and on the other, in processes of their own. "slower" or "faster" is said of a benchmark only
where a rank test of the rounds does (Wilcoxon's of the ratios of both in a round, two-sided, with Holm's correction for
the number of benchmarks) and their median is at least ``--least`` from 1. What slows a round slows both.

Exit status: 0, nothing is slower; 1, something is; 2, not compared. What stands behind a further ``--`` goes to pytest:
``OLD NEW -- tests/benchmarks/test_metrics.py -k test_metrics``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.stats import wilcoxon

ROOT = Path(__file__).resolve().parents[1]
STORE = ROOT / ".benchmarks"
OTHER_COPIES = "import sys\nsys.meta_path[:] = [f for f in sys.meta_path if 'ScikitBuild' not in type(f).__name__]\n"
"""An editable install would hide both trees; this stands in sitecustomize.py."""

Medians = Mapping[str, Sequence[float]]
"""Seconds of each benchmark by its name: the median of every round, in the order of rounds."""


class NotComparedError(Exception):
    """Why there is no answer; printed as one line."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One benchmark: median seconds of both, the median of the rounds' ratios NEW / OLD, the corrected p.

    ``said`` is "slower", "faster" or nothing.
    """

    name: str
    old: float
    new: float
    ratio: float
    p: float
    said: str


def verdicts(old: Medians, new: Medians, level: float = 0.05, least: float = 0.02) -> list[Verdict]:
    """Return a verdict on each benchmark that both ran, the most slowed first.

    The chance that any is called slower or faster where none is, is at most ``level``: by Holm's steps the smallest p
    is multiplied by the number of benchmarks, the next by one less, and no p is below one before it.
    """
    ratios = {name: np.divide(new[name], old[name]) for name in new if len(old.get(name, ())) == len(new[name])}
    names = list(ratios)
    chances = {
        name: float(wilcoxon(np.log(each)).pvalue) if (each != 1).any() else 1.0 for name, each in ratios.items()
    }
    corrected, largest = {}, 0.0
    for rank, name in enumerate(sorted(names, key=chances.__getitem__)):
        largest = max(largest, min(1.0, chances[name] * (len(names) - rank)))
        corrected[name] = largest
    found = []
    for name in names:
        ratio = float(np.median(ratios[name]))
        sure = corrected[name] <= level and abs(ratio - 1) >= least
        said = ("slower" if ratio > 1 else "faster") if sure else ""
        found.append(
            Verdict(name, statistics.median(old[name]), statistics.median(new[name]), ratio, corrected[name], said)
        )
    return sorted(found, key=lambda one: -one.ratio)


def enough(rounds: int, benchmarks: int, level: float = 0.05) -> bool:
    """Return whether the rank test can say anything: whether rounds that all say the same reach ``level``."""
    return 2 / 2**rounds * benchmarks <= level


def medians_of(file: Path) -> dict[str, float]:
    """Return seconds of each benchmark in a file of ``--benchmark-json``."""
    return {one["fullname"]: float(one["stats"]["median"]) for one in json.loads(file.read_bytes())["benchmarks"]}


def git(*arguments: str) -> str:
    """Return what git prints. Raises ``NotComparedError`` with its last line where it fails."""
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotComparedError(done.stderr.strip().splitlines()[-1])
    return done.stdout.strip()


def commit_of(name: str) -> str:
    """Return the hash of a commit; ``.`` is the working tree with its uncommitted changes of tracked files."""
    if name == ".":
        return git("stash", "create") or git("rev-parse", "HEAD")
    return git("rev-parse", "--verify", f"{name}^{{commit}}")


@contextmanager
def checked_out(commit: str, path: Path) -> Iterator[Path]:
    """Give ``path`` with the files of ``commit`` and a kernel built from them."""
    git("worktree", "add", "--detach", "--force", str(path), commit)
    try:
        build_kernel(path)
        yield path
    finally:
        git("worktree", "remove", "--force", str(path))


def build_kernel(tree: Path) -> None:
    """Build the compiled modules as pip does, and put each beside its stub."""
    build = tree / "build" / "compare"
    pybind11 = f"-Dpybind11_DIR={run([sys.executable, '-m', 'pybind11', '--cmakedir']).strip()}"
    python = f"-DPython_EXECUTABLE={sys.executable}"
    run(["cmake", "-S", str(tree), "-B", str(build), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", pybind11, python])
    run(["cmake", "--build", str(build)])
    for stub in tree.glob("bench/*/_*.pyi"):
        (module,) = build.glob(f"{stub.stem}*.so")
        shutil.copy(module, stub.parent)


def run(command: Sequence[str]) -> str:
    """Return what ``command`` prints. Raises ``NotComparedError`` where it is absent or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        raise NotComparedError(f"no command '{command[0]}'. Try: pip install cmake ninja pybind11") from None
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout).strip().splitlines()[-1:]
        raise NotComparedError(f"{' '.join(command[:3])} ... failed: {''.join(last)}") from None


def variables(tree: Path, own: Path) -> dict[str, str]:
    """Return the environment in which ``tree`` is what is imported, and no caches but its own are met."""
    paths = os.pathsep.join(map(str, (own, tree, tree / "plugins")))
    return os.environ | {"PYTHONPATH": paths, "XDG_CACHE_HOME": str(own / tree.name), "PYTHONHASHSEED": "0"}


def check_imported(tree: Path, own: Path) -> None:
    """Raise ``NotComparedError`` unless Python takes ``bench`` from ``tree``."""
    command = [sys.executable, "-P", "-c", "import bench; print(bench.__file__)"]
    found = subprocess.run(command, env=variables(tree, own), cwd=tree, capture_output=True, text=True, check=False)
    if not Path(found.stdout.strip()).is_relative_to(tree):
        raise NotComparedError(f"bench is imported from {found.stdout.strip()}, not from {tree}. Uninstall that copy")


def measure(tree: Path, own: Path, chosen: Sequence[str]) -> dict[str, float]:
    """Return the median of each benchmark in one process on ``tree``; those that fail there are left out."""
    file = own / "round.json"
    file.unlink(missing_ok=True)
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--benchmark-only"]
    options = [f"--benchmark-json={file}", f"--rootdir={tree}", *chosen]
    done = subprocess.run([*command, *options], env=variables(tree, own), cwd=tree, capture_output=True, check=False)
    # An empty file, too, is of a round in which nothing ran.
    if not file.exists() or not file.stat().st_size:
        raise NotComparedError(f"no benchmark ran: {''.join(done.stdout.decode().strip().splitlines()[-1:])}")
    return medians_of(file)


def compare(old: str, new: str, rounds: int, chosen: Sequence[str]) -> tuple[Medians, Medians]:
    """Return the medians of ``rounds`` rounds of both commits, which take turns at being the first of a round."""
    found: dict[str, dict[str, list[float]]] = {"a": {}, "b": {}}
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder)
        (own / "sitecustomize.py").write_text(OTHER_COPIES)
        # Paths of one length: that of the environment moves a process's stack.
        with checked_out(commit_of(old), own / "a") as before, checked_out(commit_of(new), own / "b") as after:
            shutil.rmtree(before / "tests")
            shutil.copytree(after / "tests", before / "tests")
            for tree in (before, after):
                check_imported(tree, own)
            for number in range(rounds + 1):
                for tree in (before, after) if number % 2 else (after, before):
                    seconds = measure(tree, own, chosen)
                    for name, value in seconds.items():
                        found[tree.name].setdefault(name, []).append(value)
                if (
                    not number
                ):  # the first round compiles modules and fills caches; it tells how many benchmarks there are
                    if not enough(rounds, len(found["a"].keys() & found["b"].keys())):
                        raise NotComparedError(
                            f"{rounds} rounds cannot tell {len(found['b'])} benchmarks apart: more --rounds"
                        )
                    found = {"a": {}, "b": {}}
                print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    return found["a"], found["b"]


def split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the arguments before ``--`` and those behind it, which pytest gets; without a place: all of them."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    own, chosen = arguments[:cut], list(arguments[cut + 1 :])
    return own, chosen if any(one.startswith("tests/") for one in chosen) else ["tests/benchmarks", *chosen]


def shown(found: Sequence[Verdict]) -> str:
    """Return the table of ``found``."""
    lines = [f"{'OLD ms':>12}{'NEW ms':>12}{'NEW/OLD':>9}{'p':>9}  {'':<7} benchmark"]
    for one in found:
        name = one.name.removeprefix("tests/benchmarks/")
        times = f"{1e3 * one.old:>12,.4f}{1e3 * one.new:>12,.4f}{one.ratio:>9.3f}{one.p:>9.2g}"
        lines.append(f"{times}  {one.said:<7} {name}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, store every round, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", help="a commit, as git names it")
    parser.add_argument("new", help="a commit; . is the working tree")
    parser.add_argument("--rounds", type=int, default=14, help="processes for each commit (default: 14)")
    parser.add_argument("--least", type=float, default=0.02, help="smallest relative difference told (default: 0.02)")
    parser.add_argument("--json", type=Path, default=STORE / "compare_speed.json", help="where all rounds are stored")
    own, chosen = split(sys.argv[1:] if arguments is None else arguments)
    given = parser.parse_args(own)
    try:
        old, new = compare(given.old, given.new, given.rounds, chosen)
        found = verdicts(old, new, least=given.least)
        if not found:
            raise NotComparedError("no benchmark ran on both commits")
    except NotComparedError as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 2
    print(shown(found))
    for name in sorted(set(new) ^ set(old)):
        print(f"not compared, as it ran on {'NEW' if name in new else 'OLD'} alone: {name}")
    content = {"old": given.old, "new": given.new, "verdicts": [asdict(one) for one in found]}
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(content | {"seconds": {"old": old, "new": new}}, indent=1))
    slower = sum(one.said == "slower" for one in found)
    faster = sum(one.said == "faster" for one in found)
    print(f"{len(found)} compared, {slower} slower, {faster} faster; every round is in {given.json}")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
