"""Labels, ids and names that would steer a terminal, a page, a spreadsheet or a drawing, through every way out."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from example_runs import make_run, run_config

from bench.cli import run_command_line
from bench.show.markdown import markdown_table, markdown_text
from bench.show.rendering import Grid, Text, latex
from bench.store.run_folder import RunFolder
from bench.store.stored import Truth
from bench.system.text import for_stream, one_line, plain

HOSTILE = (
    "sign [/b]",
    "[red]",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "line\rover",
    "nul\x00",
    "c1\x9b31m",
    "\u202egnp.exe",
    "=HYPERLINK(1)",
    "$x_{",
    "</script><script>alert(1)</script>",
    "a | b",
    "lone \udcff",
    "no letter \uffff",
    "tag \U000e0041",
    "\N{GRINNING FACE} e\N{COMBINING ACUTE ACCENT}",
)
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_shown_steers_nothing_and_still_says_which_it_is(text):
    assert not STEERING.search(plain(text))
    assert len({plain(one) for one in HOSTILE}) == len(HOSTILE)
    one_line(text).encode("utf-8")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("text", [*HOSTILE, "±0.3 ≈ caf\N{LATIN SMALL LETTER E WITH ACUTE} ──"])
def test_any_stream_can_write_it(text, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    for_stream(text, stream).encode(encoding)


def test_our_own_signs_have_an_ascii_form():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert for_stream("60.4 ±0.3≈", stream) == "60.4 +-0.3~"
    assert for_stream("caf\N{LATIN SMALL LETTER E WITH ACUTE}", stream) == "cafe"


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory):
    """A finished run whose three labels and four ids are hostile."""
    root = tmp_path_factory.mktemp("hostile")
    folder = make_run(root, "cnn-rnn")
    truth = folder.read_truth()
    ids, labels = (*HOSTILE[2:5], "lone \udcff"), ("sign [/b]", "</script><script>alert(1)</script>", "\x1b[31m$x_{")
    folder.write_truth(Truth(ids, labels, truth.truth, truth.ignore))
    return root, folder


def test_the_store_keeps_them_and_stays_utf_8(hostile_run):
    _, folder = hostile_run
    for name in ("ids.json", "labels.json"):
        (folder.path / name).read_text(encoding="utf-8")
    assert RunFolder(folder.path).read_truth().ids[-1] == "lone \udcff"


def test_a_page_has_no_script_but_its_own(hostile_run, tmp_path):
    _, folder = hostile_run
    out = tmp_path / "page.html"
    assert run_command_line(["report", str(folder.path), "--out", str(out), "--resamples", "0"]) == 0
    page = out.read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    assert page.count("<script") == page.count("</script>") == 1
    assert not STEERING.search(page)
    assert "\\u001b[31m" in page


def test_drawings_are_well_formed(hostile_run, tmp_path):
    _, folder = hostile_run
    assert run_command_line(["figures", str(folder.path), "--out", str(tmp_path)]) == 0
    drawings = list(tmp_path.rglob("*.svg"))
    assert len(drawings) > 4
    for drawing in drawings:
        ET.parse(drawing)
        assert not STEERING.search(drawing.read_text(encoding="utf-8"))


def test_drawings_of_data_sets_whose_names_are_written_alike_do_not_take_each_others_place(tmp_path, capsys):
    for name in ("toy b", "toy-b"):
        make_run(tmp_path / "runs", dataset=run_config()["dataset"] | {"name": name})
    assert run_command_line(["figures", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "drawn")]) == 0
    printed = re.findall(r"^(.*\.png): ", capsys.readouterr().out, re.MULTILINE)
    assert len(set(printed)) == len(printed) == len(list(tmp_path.rglob("*.png")))


@pytest.mark.parametrize("style", ["terminal", "markdown", "latex", "csv", "json"])
def test_tables_print_a_hostile_model_name(style, tmp_path, capsys):
    make_run(tmp_path, "[red]\x1b[31m=1|`x`")
    assert run_command_line(["table", "--runs", str(tmp_path), "--format", style]) == 0
    printed = capsys.readouterr().out
    assert "[red]" in printed.replace("\\[", "[").replace("\\]", "]")
    assert not STEERING.search(printed)
    if style == "json":
        assert json.loads(printed)[0]["rows"][0]["model"] == "[red]\x1b[31m=1|`x`"


def test_a_spreadsheet_takes_no_text_for_a_formula(tmp_path, capsys):
    for name in ("=1+1", "+1", "-1", "@x"):
        make_run(tmp_path, name)
    assert run_command_line(["table", "--runs", str(tmp_path), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["model"] for row in rows} == {"'=1+1", "'+1", "'-1", "'@x"}
    assert all(float(row["O-F1"]) == 50.0 for row in rows)


def test_markdown_and_latex_show_the_text_itself():
    assert markdown_text("[a](b) *c* `d` <e>") == "\\[a\\](b) \\*c\\* \\`d\\` \\<e>"
    assert markdown_table(["a", "b"], [["x|y\nz", "1"]]).splitlines()[-1] == "| x\\|y z | 1 |"
    printed = latex(Grid("a_b \x1b %", ("m",), ((Text("~^$"),),)))
    assert "a\\_b \\textbackslash{}u001b \\%" in printed
    assert "\\textasciitilde{}\\textasciicircum{}\\$" in printed


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def run_bench(*arguments, shell="", environment=(), **given):
    """Return a finished ``bench`` in a process of its own, its output redirected by ``shell``."""
    program = "from bench.cli import main; main()"
    command = [sys.executable, "-P", "-c", program, *map(str, arguments)]
    settings = {**os.environ, **dict(environment), "COLUMNS": "80"}
    if not shell:
        return subprocess.run(command, capture_output=True, env=settings, check=False, **given)
    quoted = " ".join(f"'{part}'" for part in command)
    return subprocess.run(["bash", "-c", f"{quoted} {shell}"], capture_output=True, env=settings, check=False, **given)


@pytest.mark.parametrize("arguments", [["list", "--options"], ["--help"], ["run", "--help"], ["protocols"]])
def test_output_that_is_ascii_only_holds_everything(arguments):
    done = run_bench(*arguments, environment=ASCII)
    assert done.returncode == 0, done.stderr
    done.stdout.decode("ascii")
    assert b"Traceback" not in done.stderr


def test_a_hostile_run_on_ascii_output(hostile_run):
    root, folder = hostile_run
    for arguments in (
        ["table", "--runs", root],
        ["lens", folder.path],
        ["runs", "--runs", root],
        ["config", folder.path],
    ):
        done = run_bench(*arguments, environment=ASCII)
        assert done.returncode == 0, done.stderr
        assert not STEERING.search(done.stdout.decode("ascii"))


@pytest.mark.parametrize("shell", [">&-", "2>&-", ">&- 2>&-", "| true"])
def test_output_that_nobody_reads_ends_quietly(shell):
    done = run_bench("list", "--options", shell=shell)
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr
    assert done.returncode == 0


def test_an_error_that_nobody_hears_keeps_its_exit_code():
    assert run_bench("run", "--model", "no-such", "--dataset", "digit-scenes", shell="2>&-").returncode == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
def test_a_full_disk_behind_standard_output_is_one_line():
    done = run_bench("list", "--options", shell="> /dev/full")
    assert done.returncode == 2
    assert done.stderr.decode().splitlines() == ["error: No space left on device: standard output"]


def test_an_error_names_a_hostile_path_on_one_line(tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff\x1b[31m\nname")
    done = run_bench("data", "stats", "imagefolder", "--data-root", name)
    assert done.returncode == 2
    (line,) = done.stderr.decode("utf-8").splitlines()
    assert line.startswith("error: ")
    assert not STEERING.search(line)


def test_numbers_stay_numbers_whatever_the_text():
    assert np.isfinite(float(markdown_table(["a", "b"], [["=x", "-1.5"]]).splitlines()[-1].split("|")[2]))


def test_only_the_console_and_notes_print():
    """One way to print a user's text; what stands alone beside an exported model has its own."""
    import bench

    package = next(iter(bench.__path__))
    found = []
    for folder, _, names in os.walk(package):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118
            if name.endswith(".py") and not path.endswith(("show/console.py", "system/notes.py")):
                with open(path, encoding="utf-8") as file:  # noqa: PTH123
                    text = re.sub(r"(?m)^\s*(>>>|\.\.\.).*$", "", file.read())
                if re.search(r"(?<![\w.`])print\(|sys\.std(out|err)\.write|(?<!\w)Console\(", text):
                    found.append(os.path.relpath(path, package))
    assert sorted(found) == ["exported/standalone/predict.py", "system/progress.py"]
