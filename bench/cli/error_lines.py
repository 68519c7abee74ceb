"""The line that is printed of an error which a user can mend, or of what the machine lacks."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from typing import Any

from bench.errors import BenchError, NotRun
from bench.show.console import is_full
from bench.system.packages import missing


def lacking(error: ImportError | MemoryError | RuntimeError) -> str | None:
    """Return what the machine lacks, a package, threads or memory; ``None`` for a mistake in the code."""
    if isinstance(error, ImportError):
        return missing(error)
    # Python has no exception of its own for either of these.
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return "the system gives no more threads. Try: ulimit -u, or the limit of processes of your container"
    if isinstance(error, RuntimeError) and "can't allocate" not in str(error):
        return None
    return " ".join(f"not enough memory. {error}".split())


def mendable(error: Exception, given: Sequence[str], commands: Collection[str]) -> tuple[str, int]:
    """Return what is printed of an error, and the exit code; ``given`` are the arguments, to one of ``commands``."""
    if isinstance(error, NotRun):
        return f"not run: {error}", NotRun.exit_code
    if isinstance(error, BenchError):
        return f"error: {error}", error.exit_code
    if isinstance(error, OSError):
        # A full disk, a folder without permission: the user's to mend, wherever it was met.
        place = error.filename or ("standard output" if is_full(sys.stdout, error) else "")
        return f"error: {error.strerror or error}{f': {place}' if place else ''}", BenchError.exit_code
    named = " ".join(["bench", *[word for word in given if word in commands][:1]])
    command = getattr(getattr(error, "ctx", None), "command_path", named)  # where a value lacks, the parser says none
    message = _whole_word(error, given) or " ".join(error.format_message().split())  # type: ignore[attr-defined]
    stop = "" if message.endswith((".", "?")) else "."
    return f"error: {message}{stop} See: {command} --help", BenchError.exit_code


def _whole_word(error: Any, given: Sequence[str]) -> str:
    """Return what is printed of ``-quiet``, of which the parser names a letter; empty of any other error."""
    letter = getattr(error, "option_name", "")
    words = (word.partition("=")[0] for word in given if word.startswith("-") and not word.startswith("--"))
    word = next((word for word in words if len(word) > len(letter) == 2 and letter[1] in word), "")
    if not word:
        return ""
    known = {name for of in (error.ctx, error.ctx.find_root()) for one in of.command.params for name in one.opts}
    return f"No such option: {word}" + (f". Did you mean -{word}?" if f"-{word}" in known else "")
