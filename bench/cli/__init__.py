"""The ``bench`` command: one file per subcommand in ``commands``, imported only when it is called."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from bench.cli.groups import in_paragraphs, in_words
from bench.cli.places import refuse_addresses
from bench.cli.plain_values import take_as_it_is
from bench.errors import BenchError, UsageError
from bench.guard import DEBUG_VARIABLE, trace_if_asked
from bench.show.console import put, put_raw
from bench.system import interrupts
from bench.system.launched import Place, launched
from bench.system.progress import LEVEL_VARIABLE, QUIET_VARIABLE
from bench.system.text import one_line, prepare_streams
from bench.system.threads import bound_waiting

COMMANDS: dict[str, tuple[str, str, str]] = {
    "run": ("bench.cli.commands.run", "run", "Train, decode and measure one model on one data set."),
    "compare": (
        "bench.cli.commands.compare",
        "compare",
        "Run several models, with several seeds, and print one table.",
    ),
    "score": (
        "bench.cli.commands.score",
        "score",
        "Score anybody's predictions, from a file, and store them as a run.",
    ),
    "export": (
        "bench.cli.commands.export",
        "export",
        "Write a run's model as ONNX, with everything a prediction needs.",
    ),
    "predict": ("bench.cli.commands.predict", "predict", "Label image files with an exported model; needs no torch."),
    "config": (
        "bench.cli.commands.config",
        "config",
        "Print a run's config and where each value came from, or how two differ.",
    ),
    "lens": ("bench.cli.commands.lens", "lens", "Show one stored run under every disputed definition of its metrics."),
    "report": (
        "bench.cli.commands.report",
        "report",
        "Write one page of tables, figures and test images from stored runs.",
    ),
    "figures": ("bench.cli.commands.figures", "figures", "Write the figures of stored runs as PNG, SVG and CSV."),
    "trials": (
        "bench.cli.commands.trials",
        "trials",
        "Show the trials that chose a run's options.",
    ),
    "validate": (
        "bench.cli.commands.validate",
        "validate",
        "Check that stored runs are what they claim, from their folders or by predicting again.",
    ),
    "speed": (
        "bench.cli.commands.speed",
        "speed",
        "Time decoding and prediction against PyTorch, in one process and run.",
    ),
    "speed-metrics": (
        "bench.cli.commands.speed_metrics",
        "speed_metrics",
        "Time the metrics against scikit-learn's and torchmetrics', in one process and run.",
    ),
    "track": ("bench.cli.commands.track", "track", "Send stored runs and their tables to TensorBoard, MLflow or W&B."),
    "list": (
        "bench.cli.commands.list",
        "list_plugins",
        "List models, data sets, backbones and trackers, and where they come from.",
    ),
    "plugin": ("bench.cli.commands.plugin", "plugin", "List, check and begin plugins."),
    "policy": (
        "bench.cli.commands.policy",
        "policy",
        "Show stored runs under another label-set policy; nothing is trained again.",
    ),
    "thresholds": (
        "bench.cli.commands.thresholds",
        "thresholds",
        "Choose thresholds for a goal on a run's validation scores.",
    ),
    "protocols": (
        "bench.cli.commands.protocols",
        "protocols",
        "List the evaluation protocols and every choice they make.",
    ),
    "data": ("bench.cli.commands.data", "data", "Count, check and show a data set."),
    "choose": (
        "bench.cli.commands.choose",
        "choose",
        "Recommend a stored model for a goal, chosen on validation.",
    ),
    "results": (
        "bench.cli.commands.results",
        "results",
        "Share stored runs as one file, and add those of others.",
    ),
    "runs": ("bench.cli.commands.runs", "runs", "List the stored runs: done, failed and unfinished."),
    "status": (
        "bench.cli.commands.status",
        "status",
        "Show what runs are at: stage, progress, time left, last error.",
    ),
    "gc": (
        "bench.cli.commands.gc",
        "gc",
        "List old caches and unfinished runs, and remove them with --yes.",
    ),
    "table": (
        "bench.cli.commands.table",
        "table",
        "Render stored runs as a table: text, Markdown, LaTeX, CSV or JSON.",
    ),
}
"""Name -> (module, attribute, help line). The attribute is a function, or a ``typer.Typer`` that holds commands."""

EXAMPLES = """Examples:

  bench run --model cnn-rnn --dataset digit-scenes

  bench compare --dataset digit-scenes --models cnn-rnn,bce,softmax --seeds 3

  bench table --format latex

  bench run --help"""

DEBUG, PLUGIN, LOG_LEVEL = "--debug", "--plugin", "--log-level"

ANYWHERE = {DEBUG: DEBUG_VARIABLE, "--quiet": QUIET_VARIABLE, "-q": QUIET_VARIABLE}
"""Options that may stand before or behind any command, and the environment variable that each sets."""

USAGE_ERROR: Any = typer.BadParameter.__bases__[0]
"""The command-line parser's error for unknown options and values; typer does not name it publicly."""


class LazyGroup(TyperGroup):
    """Knows its commands by name and help line, and imports a command's module when it is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {name: TyperCommand(name, help=line) for name, (_, _, line) in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the name, the real command in place of its help line, and its arguments."""
        name, command, rest = super().resolve_command(ctx, args)
        if name in COMMANDS:
            command = load_command(name)
        gc.enable()  # bench/__main__.py
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an interrupt is one line. Raises ``UsageError`` in a folder that is no more."""
        try:
            os.getcwd()  # noqa: PTH109 - torch's libraries end the process without it
        except OSError as error:
            raise UsageError("the current folder was removed. Try: cd to one that is there") from error
        try:
            with interrupts.working():
                result = super().invoke(ctx)
            sys.stdout.flush()
        except BaseException as error:
            # Foreign code may have made something else of what the signal raised.
            if not (isinstance(error, KeyboardInterrupt) or interrupts.came()):
                raise
            interrupts.tell(_tell)
            raise typer.Exit(128 + (interrupts.came() or signal.SIGINT)) from None
        return result


def load_command(name: str) -> Any:
    """Return the parser's command called ``name``, imported from its file."""
    module_name, attribute, _ = COMMANDS[name]
    module = importlib.import_module(module_name)
    target = getattr(module, attribute)
    if not isinstance(target, typer.Typer):
        app = typer.Typer(add_completion=False)
        app.command(name, epilog=getattr(module, "EXAMPLES", None))(target)
        target = app
    return refuse_addresses(take_as_it_is(in_paragraphs(typer.main.get_command(target))))


SUMMARY = "Benchmark of multi-label image classification: every method on the same data, features and protocol."

app = typer.Typer(
    cls=LazyGroup, help=SUMMARY, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]}
)


def _print_version(asked: bool) -> None:
    if asked:
        import bench

        put(f"multilabel-bench {bench.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def bench_command(
    ctx: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    _quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress, neither bars nor lines; before or behind any command.")
    ] = False,
    without: Annotated[
        str, typer.Option("--without", metavar="NAMES", help="Comma-separated plugin distributions to leave out.")
    ] = "",
    _plugin: Annotated[
        str,
        # Taken out of the arguments before they are parsed, as a list here would load pydantic for every command.
        typer.Option(PLUGIN, metavar="FILE", help="Load a plugin that is one Python file; may stand several times."),
    ] = "",
    _log_level: Annotated[
        str,
        typer.Option(
            LOG_LEVEL,
            metavar="LEVEL",
            help="What a run's log.jsonl holds: debug, info, warning or error; before or behind any command.",
        ),
    ] = "info",
    strict: Annotated[bool, typer.Option("--strict", help="A plugin that cannot be loaded is an error.")] = False,
    _debug: Annotated[
        bool, typer.Option(DEBUG, help="Print where in the code an error arose; before or behind any command.")
    ] = False,
) -> None:
    """Set what holds for every command; without a command, print the help."""
    if strict:
        from bench.plugins import STRICT_VARIABLE

        os.environ[STRICT_VARIABLE] = "1"
    if without:
        from bench.plugins import BLOCK_VARIABLE, refuse_unknown

        refuse_unknown(filter(None, without.split(",")))
        os.environ[BLOCK_VARIABLE] = without
    if ctx.invoked_subcommand is None:
        put_raw(f"{ctx.get_help()}\n")


def run_command_line(arguments: Sequence[str] | None = None) -> int:
    """Run ``bench`` with ``arguments`` (the process's own if ``None``) and return its exit code.

    0: done. 1: a run of several failed, or is not what it claims. 2: a mistake in what was asked for, one line on
    standard error. 130, 143: interrupted, terminated. 141: who reads what is printed has gone away.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    interrupts.begin(given)
    # Taken out here, so that they may stand behind a command's own options, where a user adds them.
    end = given.index("--") if "--" in given else len(given)
    asked = [argument for argument in given[:end] if argument in ANYWHERE]
    own = [argument for argument in given[:end] if argument not in ANYWHERE] + given[end:]
    before = {variable: os.environ.get(variable, "") for variable in (*ANYWHERE.values(), LEVEL_VARIABLE)}
    os.environ |= {ANYWHERE[option]: "1" for option in asked}
    if own[:1] == ["help"]:
        own = [*own[1:], "--help"]
    try:
        if any(argument.partition("=")[0] == PLUGIN for argument in own):
            from bench import plugin_files

            own = plugin_files.taken_out(own, PLUGIN)
        if any(argument.partition("=")[0] == LOG_LEVEL for argument in own):
            from bench.cli import log_level

            own = log_level.taken_out(own, LOG_LEVEL)
        result = take_as_it_is(in_words(typer.main.get_command(app))).main(
            own, prog_name="bench", standalone_mode=False
        )
    except SystemExit as ended:
        # Where the reader of standard output has gone away, the parser and Rich end the process, with 1.
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        _settle_streams()
        return 141
    except (BenchError, USAGE_ERROR, OSError) as error:
        # What a plugin raised was printed at its border.
        if not getattr(error, "where", ""):
            trace_if_asked(error)
        from bench.cli.error_lines import mendable

        line, code = mendable(error, own, COMMANDS)
        _tell(line)
        return code
    except (ImportError, MemoryError, RuntimeError) as error:
        from bench.cli.error_lines import lacking

        if (what := lacking(error)) is None:
            raise
        trace_if_asked(error)
        _tell(f"error: {what}")
        return BenchError.exit_code
    finally:
        os.environ |= before
    return result if isinstance(result, int) else 0


def _tell(message: str) -> None:
    """Print one line on standard error; where nobody can hear it, the exit code still says it."""
    with contextlib.suppress(OSError, ValueError):
        put(one_line(message), file=sys.stderr)


def main() -> None:
    """Run the command line and exit."""
    bound_waiting()
    prepare_streams()
    place = launched(sys.argv[1:])
    code = run_command_line() if place is None else run_together(place)
    interrupts.ignore()
    _settle_streams()
    gc.freeze()  # the process ends: Python would look through every module once more
    sys.exit(code)


def run_together(place: Place) -> int:
    """Run ``bench`` as one of several ranks: rank 0 as ever, the others for what it asks them; return the exit code."""
    from bench.system import ranks

    voice = 2
    if place.rank and DEBUG not in sys.argv:
        # What goes on in the others is rank 0's to tell; they speak of its end alone.
        voice = os.dup(2)
        for stream in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    try:
        team = ranks.join(place, voice)
    except BenchError as error:
        os.write(voice, f"error: {error}\n".encode())
        return error.exit_code
    if place.rank:
        from bench.worker import serve

        try:
            with interrupts.working():
                serve(team)
        except KeyboardInterrupt:
            code = 128 + (interrupts.came() or signal.SIGINT)
            team.close(code)
            os._exit(code)  # threads of torch may wait for ranks that are gone
    code = 1  # of what should not happen
    try:
        code = run_command_line()
    finally:
        interrupts.ignore()
        team.close(code)
    return code


def _settle_streams() -> None:
    """Write out what is waiting; where nobody reads any more, let it go without a word at the end of the process."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
