"""Text and flags on the command line, taken as they are: a command that parses nothing else starts without pydantic."""

from __future__ import annotations

from typing import Any


class _AsItIs:
    """What typer asks for a parameter's value, where that is any text, or a flag that is there or not."""

    def coerce(self, value: Any, **_: Any) -> Any:
        return value


def take_as_it_is(command: Any) -> Any:
    """Return ``command``, its flags and parameters of plain text without a parser.

    typer makes each parameter's parser when it is first needed, by pydantic, which takes longer to import than most
    commands to run. Where typer keeps its parsers otherwise than today, nothing changes.
    """
    parameters = command.get_params

    def get_params(context: Any) -> list[Any]:
        found: list[Any] = parameters(context)  # the parser's own --help is among them
        for parameter in found:
            if _is_plain(parameter) and hasattr(parameter, "_runtime_param"):
                parameter._runtime_param = _AsItIs()
        return found

    command.get_params = get_params
    return command


def _is_plain(parameter: Any) -> bool:
    described = getattr(parameter, "type_descriptor", None)
    text = getattr(described, "annotation", None) in {str, str | None} and not getattr(described, "is_choice", True)
    return (text or getattr(parameter, "is_flag", False)) and parameter.nargs == 1 and not parameter.multiple
