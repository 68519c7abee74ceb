"""Lines between processes: a connection over which each sends the other objects as JSON, one a line."""

from __future__ import annotations

import contextlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

LONGEST = 1 << 26
"""Bytes of a message; one that is longer ends the connection."""

GREETING = 5.0
"""Seconds within which who has connected must say who it is."""


class Line:
    """A connection to another process; iterating yields what it sends, and ends when it does."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(None)
        self._connection = connection
        self._file = connection.makefile("rb")
        self._sending = threading.Lock()

    def send(self, message: dict[str, Any]) -> None:
        """Send an object; to a process that is gone, nothing: reading tells that it is."""
        content = json.dumps(message).encode() + b"\n"
        with self._sending, contextlib.suppress(OSError):
            self._connection.sendall(content)

    def close(self) -> None:
        """End the connection."""
        self._file.close()
        self._connection.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield each object that comes."""
        with contextlib.suppress(OSError, ValueError):
            while (content := self._file.readline(LONGEST)).endswith(b"\n"):
                message = json.loads(content)
                if isinstance(message, dict):
                    yield message


class Server:
    """A port that other processes connect to."""

    def __init__(self, host: str) -> None:
        self._socket = socket.create_server((host, 0), backlog=128)
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> Server:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let nobody else connect."""
        self._socket.close()

    def accepted(self, secret: str, count: int, seconds: float) -> dict[int, Line]:
        """Return the lines of those that connect within ``seconds`` and know the ``secret``, up to ``count``, by rank.

        A connection that says something else, or nothing, is closed.
        """
        lines: dict[int, Line] = {}
        deadline = time.monotonic() + seconds
        while len(lines) < count and (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                connection, _ = self._socket.accept()
            except OSError:
                continue
            connection.settimeout(min(left, GREETING))
            greeting = _greeting(connection)
            if hmac.compare_digest(str(greeting.get("secret")).encode(), secret.encode()):
                lines[int(greeting["rank"])] = Line(connection)
            else:
                connection.close()
        return lines


def _greeting(connection: socket.socket) -> dict[str, Any]:
    """Return the first object that comes over ``connection``, empty where none does.

    It is read byte by byte: what follows it is left there.
    """
    content = b""
    with contextlib.suppress(OSError, ValueError):
        while not content.endswith(b"\n") and len(content) < 1000 and (more := connection.recv(1)):
            content += more
        greeting = json.loads(content)
        return greeting if isinstance(greeting, dict) else {}
    return {}


def listen(host: str) -> Server:
    """Return a server on a free port of ``host``; empty: of every address of this machine."""
    return Server(host)


def reached(host: str, port: int, seconds: float) -> Line:
    """Return the line to the server at ``host`` and ``port``. Raises ``OSError`` where there is none."""
    return Line(socket.create_connection((host, port), seconds))
