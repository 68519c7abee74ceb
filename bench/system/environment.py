"""The machine and the versions behind a number: enough to judge it, nothing that names its owner."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

import bench
from bench.system.threads import thread_counts

PACKAGES = (
    "multilabel-bench",
    "numpy",
    "torch",
    "torchvision",
    "timm",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxscript",
    "scikit-learn",
    "pillow",
    "safetensors",
    "pluggy",
)
"""Distributions whose versions can move a result; those not installed are left out."""


def environment() -> dict[str, Any]:
    """Return operating system, processor, cores, memory, Python, package versions and thread counts.

    No host name, user name or path is in it, so a run folder can be published as it is. Nothing is imported
    to find a version.
    """
    return {
        "bench": bench.__version__,
        "system": platform.system(),
        "release": re.match(r"[\d.]*", platform.release()).group(),  # type: ignore[union-attr]
        "machine": platform.machine(),
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "memory_gib": memory_gib(),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "packages": versions(),
        "threads": thread_counts(),
    }


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's model name, or its architecture where the system does not tell."""
    try:
        names = re.findall(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), flags=re.MULTILINE)
    except OSError:
        names = []
    return str(names[0]).strip() if names else platform.processor() or platform.machine()


def memory_gib() -> float:
    """Return the installed memory in GiB, rounded to a tenth; 0 where the system does not tell."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        return 0.0


def versions() -> dict[str, str]:
    """Return the versions of the installed ``PACKAGES``, of each distribution that adds a plugin, and what it needs."""
    plugins = {e.dist for e in importlib.metadata.entry_points(group="multilabel_bench") if e.dist}
    needed = {name for one in plugins if _name(one) not in PACKAGES for name in _needs(one)}
    found = {}
    for package in sorted({*PACKAGES, *filter(None, map(_name, plugins)), *needed}):
        try:
            found[package] = importlib.metadata.version(package)
        except (importlib.metadata.PackageNotFoundError, ValueError):
            continue
    return {package: version for package, version in found.items() if version}


def _needs(distribution: importlib.metadata.Distribution) -> set[str]:
    """Return the names of what a distribution requires, without its extras."""
    try:
        required = distribution.requires or []
    except (KeyError, TypeError, OSError, ValueError):
        return set()
    names = (re.match(r"[\w.-]+", one) for one in required if "extra ==" not in one)
    return {name[0].lower().replace("_", "-") for name in names if name}


def _name(distribution: importlib.metadata.Distribution) -> str | None:
    """Return a distribution's name; ``None`` where an installation that was broken off has left it without one."""
    try:
        return distribution.name
    except (KeyError, TypeError, OSError, ValueError):
        return None
