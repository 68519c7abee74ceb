"""A plugin to begin with: an installable package whose test passes as it is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from bench.errors import UsageError
from bench.plugins import installed
from bench.system.files import write_atomic

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of plugin begins with: its templates, the name of its second module, if any, and a first command."""

    template: str
    second: str
    title: str
    try_it: str
    requires: str = "multilabel-bench>=0.1"


_MODEL = "bench compare --dataset digit-scenes --models bce,$name"
_OTHERS = "bench run --model bce --dataset digit-scenes"
KINDS: Mapping[str, Kind] = {
    "model": Kind("model_scores", "network", "A model that scores labels", _MODEL),
    "sequence": Kind("model_sequence", "network", "A model that emits label sequences", _MODEL),
    "estimator": Kind(
        *("model_estimator", "estimator", "A model by an estimator of scikit-learn", _MODEL),
        requires="multilabel-bench[sklearn]>=0.1",
    ),
    "maps": Kind("model_maps", "network", "A model whose labels look at the feature map", _MODEL),
    "attention": Kind("model_attention", "network", "A sequence model that looks at the feature map", _MODEL),
    "dataset": Kind("dataset", "pictures", "A data set", "bench run --model bce --dataset $name"),
    "backbone": Kind("backbone", "network", "A backbone", f"{_OTHERS} --backbone $name"),
    "metric": Kind("metric", "formula", "A metric", "bench table --columns $name"),
    "tracker": Kind("tracker", "files", "A tracker", f"{_OTHERS} --track $name"),
    "protocol": Kind("protocol", "", "An evaluation protocol", f"{_OTHERS} --protocol $name@1"),
    "policy": Kind("policy", "choice", "A label-set policy", f"{_OTHERS} --policy $name"),
    "decoder": Kind(
        *("decoder", "search", "A search for label sequences"),
        "bench run --model cnn-rnn --dataset digit-scenes --set decoder=$name",
    ),
    "report-section": Kind("report_section", "tables", "A section of the report", "bench report"),
    "table-format": Kind("table_format", "text", "A format of tables", "bench table --format $name"),
}
FLAVOURS = ("sequence", "estimator", "maps", "attention")
"""What can be begun; of a model, beside one of scores, these flavours."""

_MODULES = {
    True: """\
`$module/__init__.py` says what the plugin offers and is imported by every command, so it imports nothing heavy.
`$module/$second.py` does the work.""",
    False: "`$module/__init__.py` says what the plugin offers, and is imported by every command.",
}
"""What the README says of the modules, of which there are two, or one."""


def write_plugin(name: str, kind: str, parent: Path) -> Path:
    """Write a package for a plugin called ``name``, one of ``KINDS``, below ``parent``; return its folder.

    Raises ``UsageError`` for a name that is none or another plugin's, and where the folder is there already.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"found name '{name}', allowed: small letters, digits and single - between them, as in near-best"
        )
    own = name.removeprefix("bench-")
    folder = parent / f"bench-{own}"
    for table in installed().offered.values():
        if own in table and table[own].origin.distribution != folder.name:
            raise UsageError(f"found name '{own}', which {table[own].origin} has already. Try: my-{own}")
    if folder.exists():
        raise UsageError(f"{folder} is there already. Try: another name, or --out DIR")
    chosen = KINDS[kind]
    values = {"name": own, "distribution": folder.name, "module": folder.name.replace("-", "_")}
    values |= {"second": chosen.second, "title": chosen.title, "requires": chosen.requires}
    values["modules"] = Template(_MODULES[bool(chosen.second)]).substitute(values)
    values["try_it"] = first_command(folder, kind)
    module = values["module"]
    templates = {
        "pyproject.toml": "pyproject",
        "README.md": "readme",
        f"{module}/__init__.py": f"{chosen.template}.init",
        f"tests/test_{module}.py": "test",
    }
    if chosen.second:
        templates[f"{module}/{chosen.second}.py"] = f"{chosen.template}.{chosen.second}"
    for path, template in templates.items():
        text = (resources.files("bench.testing") / "templates" / f"{template}.txt").read_text("utf-8")
        write_atomic(folder / path, Template(text).substitute(values))
    return folder


def first_command(folder: Path, kind: str) -> str:
    """Return what is typed to see the plugin in ``folder`` at work."""
    return Template(KINDS[kind].try_it).substitute(name=folder.name.removeprefix("bench-"))
