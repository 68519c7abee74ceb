"""What a shell completes where a name is typed: https://click.palletsprojects.com/en/stable/shell-completion."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def names_of(kind: str) -> Callable[[str], list[str]]:
    """Return what completes one of the names of this ``kind`` of plugin, or the last of several, as in ``bce,wa``."""
    return _completing(lambda: _known(kind))


def one_of(words: Iterable[str]) -> Callable[[str], list[str]]:
    """Return what completes one of these ``words``."""
    return _completing(lambda: words)


def _completing(known: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{name}" for name in known() if name.startswith(last)]

    return complete


def _known(kind: str) -> list[str]:
    """Return the installed names of this kind, those of the host before plugins'."""
    from bench import plugins
    from bench.contracts import HOST_POLICIES
    from bench.evaluation import protocols
    from bench.show.rendering import FORMATS

    if kind == "protocols":
        return [protocol.name for protocol in protocols.named()]
    own = {"policies": HOST_POLICIES, "table_formats": FORMATS}.get(kind, ())
    return [*own, *plugins.installed().offered[kind]]
