"""The command line as a whole: light, helpful, and one line for every mistake."""

import errno
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

import bench
from bench import NotRun, StoreError, plugins
from bench.cli import COMMANDS, EXAMPLES, load_command, run_command_line
from bench.store.run_folder import RunFolder

Capture = pytest.CaptureFixture[str]


def test_help_names_every_command_and_shows_examples_without_importing_any(capsys: Capture) -> None:
    assert run_command_line(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, (_, _, line) in COMMANDS.items():
        assert name in shown
        assert line.split(".")[0][:30] in shown
    assert "bench run --model cnn-rnn --dataset digit-scenes" in shown


def test_no_arguments_print_the_help(capsys: Capture) -> None:
    assert run_command_line([]) == 0
    assert "Usage: bench" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_in_the_table_has_its_file_and_its_help(name: str, capsys: Capture) -> None:
    module, attribute, _ = COMMANDS[name]
    assert hasattr(importlib.import_module(module), attribute)
    assert load_command(name) is not None
    assert run_command_line([name, "--help"]) == 0
    assert f"bench {name}" in capsys.readouterr().out


def test_bench_help_is_the_help(capsys: Capture) -> None:
    for asked, option in ((["help"], ["--help"]), (["help", "data", "stats"], ["data", "stats", "--help"])):
        assert (run_command_line(asked), run_command_line(option)) == (0, 0)
        shown = capsys.readouterr().out
        assert shown[: len(shown) // 2] == shown[len(shown) // 2 :]


@pytest.mark.parametrize("command", [[], ["report"], ["data", "show"], ["plugin", "check"]])
def test_help_shows_what_to_type_and_no_types_of_python(command: list[str], capsys: Capture) -> None:
    """typer shows `--json <bool>`, which reads as if a value were to follow, `RUNS <list[str]>` and `<int range>`."""
    assert run_command_line([*command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert not re.search(r"<(bool|str|path|int range|list\[)", shown), shown


def test_help_is_broken_where_the_window_ends_alone(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    for command in (["report"], ["data", "verify"]):
        found = load_command(command[0])
        for name in command[1:]:
            found = found.commands[name]
        assert run_command_line([*command, "--help"]) == 0
        shown = capsys.readouterr().out.split("\n")
        assert {f" {part}" for part in found.help.split("\n\n")} <= {line.rstrip() for line in shown}


def test_every_commands_help_ends_with_examples_of_its_own_that_the_parser_takes() -> None:
    seen = []

    def look(path: tuple[str, ...], command: Any) -> None:
        own = [line.strip() for line in (command.epilog or "").splitlines() if line.strip().startswith("bench ")]
        assert any(" ".join(path) in line for line in own), path
        for line in own:
            words = shlex.split(line)[1:]
            while words[0].startswith("-"):
                words = words[1:] if "=" in words[0] or words[0] == "--strict" else words[2:]
            found = load_command(words[0])
            rest = words[1:]
            while hasattr(found, "commands") and rest:
                found, rest = found.commands[rest[0]], rest[1:]
            if not hasattr(found, "commands") and "--help" not in rest:
                found.make_context("bench", list(takewhile(lambda word: word not in ("|", ">"), rest))).close()
            seen.append(line)
        for name, sub in getattr(command, "commands", {}).items():
            look((*path, name), sub)

    for name in COMMANDS:
        look((name,), load_command(name))
    assert len(seen) >= 40
    assert {line.split()[1] for line in EXAMPLES.splitlines() if line.strip().startswith("bench ")} <= set(COMMANDS)


def test_the_version_is_printed(capsys: Capture) -> None:
    assert run_command_line(["--version"]) == 0
    assert capsys.readouterr().out == f"multilabel-bench {bench.__version__}\n"


RUN, HUGE = ("run", "--model", "prior", "--dataset", "digit-scenes"), "9" * 23


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["tabel"], "No such command 'tabel'"),
        (["--loud"], "No such option"),
        (["run", "-quiet"], "No such option: -quiet. Did you mean --quiet? See: bench run --help"),
        (["-quiet", "run"], "No such option: -quiet. Did you mean --quiet? See: bench --help"),
        (["run", "-seed=3"], "No such option: -seed. Did you mean --seed?"),
        (["run", "-mbce"], "No such option: -mbce. See: bench run --help"),
        (["run", "-m", "bce"], "No such option: -m. See"),
        (["data", "stats", "--name"], "requires an argument. See: bench data --help"),
        (
            ["list", "modles"],
            "no kind of plugin 'modles'; did you mean 'models'? allowed: backbones, datasets, decoders, metrics,",
        ),
        (["table", "--format", "pdf"], "no format of tables 'pdf'; allowed: csv, json, latex, markdown, terminal"),
        (["table", "--runs", "nowhere"], "no runs under nowhere"),
        (["table", "zzz", "--runs", "nowhere"], "no run 'zzz'"),
        (["runs", "--runs", "nowhere"], "no runs under nowhere"),
        (["runs", "--runs", "nowhere", "--json"], "no runs under nowhere"),
        (
            ["runs", "--state", "finished"],
            "no state 'finished'; did you mean 'unfinished'? allowed: damaged, done, failed, unfinished",
        ),
        (["compare", "--dataset", "digit-scenes"], "Missing option '--models'"),
        (["compare", "--dataset", "x", "--models", ","], "--models: found none"),
        ([*RUN, "--seed", HUGE], f"--seed: found {HUGE}, allowed: 0 to 4294967295"),
        ([*RUN, "--trials", HUGE], f"--trials: found {HUGE}, allowed: whole numbers from 1 to 10000"),
        (
            ["compare", "--dataset", "digit-scenes", "--models", "bce", "--seeds", HUGE],
            f"--seeds: found {HUGE}, allowed: whole numbers from 1 to 10000",
        ),
        (["config", ""], "no run ''"),
        (["compare", "--dataset", "x", "--models", "sofmax"], "no model 'sofmax'; did you mean 'softmax'?"),
    ],
)
def test_a_mistake_is_one_line_on_standard_error_and_exit_code_2(
    arguments: list[str], expected: str, capsys: Capture
) -> None:
    assert run_command_line(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert expected in captured.err


UNLOADABLE = ImportError("libtorch_cpu.so: failed to map segment", path="/x/torch/_C.so")
WRAPPED = ImportError("\nImporting it failed.\nSee: its pages")
WRAPPED.__cause__ = UNLOADABLE


def raising(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (NotRun("no GPU"), 2, "not run: no GPU\n"),
        (StoreError("damaged"), 2, "error: damaged\n"),
        (OSError(28, "No space left on device", "/tmp/x"), 2, "error: No space left on device: /tmp/x\n"),
        (MemoryError("Unable to allocate 7 TiB"), 2, "error: not enough memory. Unable to allocate 7 TiB\n"),
        (MemoryError(), 2, "error: not enough memory.\n"),
        (RuntimeError("can't allocate lock"), 2, "error: not enough memory. can't allocate lock\n"),
        (
            RuntimeError("can't start new thread"),
            2,
            "error: the system gives no more threads. Try: ulimit -u, or the limit of processes of your container\n",
        ),
        *(
            (
                error,
                2,
                "error: cannot load '/x/torch/_C.so': libtorch_cpu.so: failed to map segment. Try: ulimit -v, which"
                " bounds memory, or to install it anew\n",
            )
            for error in (UNLOADABLE, WRAPPED)
        ),
        (KeyboardInterrupt(), 130, "stopped; what is finished is kept. To continue: bench runs\n"),
    ],
)
def test_what_ends_a_command_is_one_line(
    error: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("bench.cli.commands.runs.runs", raising(error))
    assert run_command_line(["runs"]) == code
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.ENOSPC])
def test_an_error_of_no_file_leaves_standard_output_as_it_is(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """A blank line was printed to see whether it is full; where it was closed, that was a traceback."""
    monkeypatch.setattr("bench.cli.commands.runs.runs", raising(OSError(number, "it failed")))
    if number == errno.ENOSPC:
        monkeypatch.setattr(sys, "stdout", None)
    assert run_command_line(["runs"]) == 2
    assert capsys.readouterr() == ("", "error: it failed\n")


def test_a_command_in_a_folder_that_was_removed_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """torch's libraries would end the process with words of their own."""
    (gone := tmp_path / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert run_command_line(["runs"]) == 2
    assert capsys.readouterr().err == "error: the current folder was removed. Try: cd to one that is there\n"


@pytest.mark.parametrize("bug", [ZeroDivisionError(), ImportError("cannot import name 'x'", path="/x/bench/y.py")])
def test_a_bug_is_not_hidden(bug: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.cli.commands.runs.runs", raising(bug))
    with pytest.raises(type(bug)):
        run_command_line(["runs"])


def bench_process(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    code = "import sys; from bench.cli import main; main()"
    command = [sys.executable, "-P", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **settings)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("arguments", ["--help", "list models --help", "list models", "runs", "table --format json"])
def test_a_reader_that_went_away_ends_any_command_as_the_signal_would_and_without_a_word(
    arguments: str, stored_run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    stored_run()
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-P", "-c", "from bench.cli import main; main()", *arguments.split()]
    done = subprocess.run(command, cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


HEAVY = {"torch", "torchvision", "timm", "onnx", "onnxruntime", "sklearn", "scipy", "pandas", "matplotlib", "PIL"}
HEAVY |= {"numpy", "pydantic"}


def test_a_list_is_one_line_of_80_columns_for_each_name_and_v_tells_all(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(plugins, "SLOW", float("inf"))  # a busy machine's imports are told of below the list
    assert run_command_line(["list", "models"]) == 0
    title, *lines = capsys.readouterr().out.splitlines()
    models = plugins.installed().all(plugins.MODELS)
    assert title == "models"
    assert [line.split()[0] for line in lines] == sorted(models)
    assert max(map(len, lines)) <= 80
    assert run_command_line(["list", "models", "-v"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    for found in models.values():
        assert found.spec.summary in told
        assert found.spec.source in told


@pytest.mark.parametrize(
    ("kind", "told"),
    [("metrics", "docs/metrics.md"), ("protocols", "bench protocols"), ("decoders", "beam"), ("policies", "decoded")],
)
def test_a_list_of_what_plugins_only_add_to_says_what_there_is_without_them(
    kind: str, told: str, capsys: Capture
) -> None:
    assert run_command_line(["list", kind]) == 0
    printed = capsys.readouterr().out
    assert told in printed.partition("built in:")[2]
    assert run_command_line(["list"]) == 0
    assert "built in:" not in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["list"], ["list", "--options"], ["list", "--json"], ["run", "--help"], []])
def test_list_and_help_import_nothing_heavy_and_few_modules(arguments: list[str]) -> None:
    """What it imports is nearly all of its time, which ``tests/benchmarks/test_start.py`` measures."""
    code = (
        f"import sys; from bench.cli import run_command_line; assert run_command_line({arguments}) == 0;"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    imported = done.stderr.split()
    assert not HEAVY & set(imported)
    assert len(imported) < 600  # about 430 of the standard library, Typer, Rich and ours; torch alone brings 1,500


def test_a_list_that_no_terminal_shows_imports_no_rich() -> None:
    code = (
        "import sys; from bench.cli import run_command_line; run_command_line(['list']); print('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "False"


def test_garbage_is_collected_again_once_a_command_is_loaded() -> None:
    code = (
        "import gc, sys; sys.argv = ['bench', 'list']; from bench import __main__, plugins; load = plugins.load;"
        "plugins.load = lambda: print('collects:', gc.isenabled()) or load(); __main__.main()"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[0] == "collects: True"


def test_a_left_out_distribution_is_not_in_the_list() -> None:
    assert "softmax" in bench_process("list", "models").stdout
    assert "softmax" not in bench_process("--without", "multilabel-bench", "list", "models").stdout


@pytest.mark.parametrize("arguments", [["--quiet", "list"], ["list", "--quiet"], ["list", "-q", "models"]])
def test_quiet_may_stand_anywhere_and_holds_for_its_command(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.system.progress import QUIET_VARIABLE

    monkeypatch.setenv(QUIET_VARIABLE, "")
    seen = []
    installed = plugins.installed
    monkeypatch.setattr(plugins, "installed", lambda: seen.append(os.environ[QUIET_VARIABLE]) or installed())
    assert run_command_line(arguments) == 0
    assert seen == ["1"]
    assert os.environ[QUIET_VARIABLE] == ""


def completed(words: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> list[str]:
    monkeypatch.setenv("_BENCH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    with pytest.raises(SystemExit):
        run_command_line([])
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("bench com", ["compare"]),
        ("bench data sh", ["show"]),
        ("bench data show digit", ["digit-scenes"]),
        ("bench data show x --split va", ["validation"]),
        ("bench compare --dataset x --models bce,multi", ["bce,multi-edge-graph"]),
        ("bench compare --models y --backbone vg", ["vgg16"]),
        ("bench run --protocol digit", ["digit-scenes@1"]),
        ("bench run --policy dec", ["decoded"]),
        ("bench table --format lat", ["latex"]),
        ("bench list mod", ["models"]),
    ],
)
def test_shell_completion_offers_commands_and_names(
    words: str, expected: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert completed(words, monkeypatch, capsys) == expected


def test_python_m_bench_is_the_command():
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bench", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("multilabel-bench ")
