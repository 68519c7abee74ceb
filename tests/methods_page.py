"""The table of docs/methods.md, from what is installed: ``python tests/methods_page.py`` writes it anew."""

from pathlib import Path

from bench import plugins
from bench.exported.publish import why_not
from bench.guard import HOST

PAGE = Path(__file__).parents[1] / "docs" / "methods.md"
BEGIN, END = "<!-- table: python tests/methods_page.py -->\n", "<!-- end of the table -->\n"


def first_party():
    """The specs of the models that the benchmark itself brings, by name."""
    found = plugins.installed().all(plugins.MODELS).items()
    return {name: one.spec for name, one in sorted(found) if one.origin.distribution == HOST}


def table():
    lines = [
        "| method | row of the paper's tables, or what it is | `--trials` choose | ONNX |",
        "| --- | --- | --- | --- |",
    ]
    for name, spec in first_party().items():
        chosen = ", ".join(f"`{one.name}`" for one in spec.space) or f"nothing: {spec.exemption}"
        onnx = f"none: {why_not(spec)}" if why_not(spec) else "equal to the stored scores"
        lines.append(f"| `{name}` | {spec.row or spec.source.split(',')[0]} | {chosen} | {onnx} |")
    return "\n".join(lines) + "\n"


def written(page):
    """``page`` with its table as it should be."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
