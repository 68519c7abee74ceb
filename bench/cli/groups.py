"""Help texts, and commands that hold commands, as ``bench data``, whose help ends with the examples of each file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import typer


def in_paragraphs(command: Any) -> Any:
    """Return ``command``, whose help is broken where the window ends, and not where its docstring breaks lines."""
    command.help = "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    for each in getattr(command, "commands", {}).values():
        in_paragraphs(each)
    return command


def group(line: str, commands: Mapping[str, Callable[..., Any]]) -> typer.Typer:
    """Return the command whose help is ``line`` and that holds ``commands``, with the first example of each."""
    examples = {name: getattr(sys.modules[call.__module__], "EXAMPLES", "") for name, call in commands.items()}
    title = "Examples:"
    firsts = [text.split("\n\n")[1] for text in examples.values() if text.startswith(title)]
    app = typer.Typer(
        help=line, no_args_is_help=True, add_completion=False, epilog="\n\n".join([title, *firsts]) if firsts else None
    )
    for name, call in commands.items():
        app.command(name, epilog=examples[name] or None)(call)
    return app
