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
    return in_words(command)


def in_words(command: Any) -> Any:
    """Return ``command``, whose help shows what to type: typer shows Python's types, of flags without a value, too."""
    parameters = command.get_params

    def get_params(context: Any) -> list[Any]:
        found: list[Any] = parameters(context)  # the parser's own --help is among them
        for parameter in found:
            if getattr(parameter, "is_flag", False) or not parameter.opts[0].startswith("-"):
                parameter.display_type_rich = lambda **_: None
            elif not parameter.metavar and getattr(getattr(parameter, "type_descriptor", None), "is_ranged", False):
                parameter.metavar = "N"
        return found

    command.get_params = get_params
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
