"""The compiled search under libFuzzer: built by Clang with sanitizers, its corpus kept from sitting to sitting."""

from __future__ import annotations

import hashlib
import re
import resource
import shutil
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

NAME = "beam-search"
ROOT = Path(__file__).parents[2]
COMPILERS = ("clang++", *(f"clang++-{version}" for version in range(21, 15, -1)))
SANITIZERS = "fuzzer,address,undefined"
LONGEST_INPUT = 4096

TRIAL = """
#include <ranges>
#include <vector>
extern "C" int LLVMFuzzerTestOneInput(const unsigned char *, unsigned long) {
  std::vector<int> none;
  return static_cast<int>(std::ranges::subrange(none.begin(), none.end()).size());
}
"""
"""What a Clang must compile: some have no libFuzzer, and some older ones not the ranges of a newer library."""


@cache
def available() -> tuple[str, ...]:
    """Return the reader's name where a Clang is installed that has libFuzzer."""
    return (NAME,) if _compiler() else ()


@cache
def _compiler() -> str:
    for name in COMPILERS:
        if shutil.which(name):
            asked = [name, "-std=c++20", f"-fsanitize={SANITIZERS}", "-x", "c++", "-", "-o", "/dev/null"]
            if not subprocess.run(asked, input=TRIAL, text=True, capture_output=True, check=False).returncode:
                return name
    return ""


def _built(folder: Path) -> Path:
    """Return the program, made anew where the sources are others than those it was made of."""
    sources = [path for path in sorted((ROOT / "csrc").glob("*.cpp")) if not path.name.endswith("bindings.cpp")]
    sources.append(ROOT / "csrc" / "tests" / "fuzz_beam.cpp")
    headers = sorted((ROOT / "csrc").rglob("*.h"))
    key = hashlib.sha256(b"".join(path.read_bytes() for path in (*sources, *headers))).hexdigest()[:16]
    program = folder / f"fuzz_beam-{key}"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        options = (
            "-std=c++20",
            "-O1",
            "-g",
            f"-fsanitize={SANITIZERS}",
            "-fno-sanitize-recover=all",
            "-DMLB_LIBFUZZER",
        )
        command = [_compiler(), *options, "-Wno-psabi", "-I", str(ROOT / "csrc"), *map(str, sources)]
        subprocess.run([*command, "-lpthread", "-o", f"{program}.part"], check=True)
        Path(f"{program}.part").rename(program)
    return program


def sit(seed: int, count: int, seconds: float, out: Path) -> tuple[int, float, Counter[str]]:
    """Return inputs that the search was given, seconds of computing, and what was found by a line that tells of it."""
    program, corpus = _built(out / "beam"), out / "beam" / "corpus"
    corpus.mkdir(exist_ok=True)
    options = {
        "runs": count,
        "max_total_time": max(int(seconds), 1),
        "seed": seed,
        "max_len": LONGEST_INPUT,
        "timeout": 60,
        "rss_limit_mb": 2048,
        "print_final_stats": 1,
        "artifact_prefix": f"{out}/{NAME}-{seed}-",
    }
    command = [str(program), str(corpus), *(f"-{name}={value}" for name, value in options.items())]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    numbers = re.findall(r"stat::number_of_executed_units: *(\d+)", done.stderr)
    found = Counter[str]()
    if done.returncode:
        summary = re.findall(r"^SUMMARY: (.*)$", done.stderr, re.MULTILINE)
        found[(summary or [f"exit {done.returncode}"])[-1][:200]] += 1
    return int(numbers[-1]) if numbers else 0, used, found
