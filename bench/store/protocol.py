"""The protocol that a stored run was measured by: the one of its name, as long as that still makes its choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bench.contracts import Protocol
from bench.errors import StoreError
from bench.evaluation import protocols
from bench.system.files import canonical_json, digest

PART = "protocol"
"""Name in a config's ``code`` of the hash over a plugin's choices."""


def code_of(protocol: Protocol) -> dict[str, str]:
    """Return what a config's ``code`` holds of a plugin's protocol, whose choices an edit changes under one name.

    Nothing of the host's: each choice of those has a name of its own. The line that says what it is is no choice.
    """
    choices = {name: value for name, value in asdict(protocol).items() if name != "summary"}
    return {PART: digest(canonical_json(choices))} if protocols.of_plugin(protocol) else {}


def stored_code(config: Mapping[str, Any]) -> str:
    """Return the hash of the choices of a plugin's protocol that ``config`` holds; empty: it is the host's."""
    return str(config.get("code", {}).get(PART, ""))


def protocol_of(config: Mapping[str, Any]) -> Protocol:
    """Return the protocol of a run with ``config``.

    Raises ``UsageError`` where no plugin gives it any more, ``StoreError`` where it makes other choices now: what would
    be computed by those is nothing of that run.
    """
    protocol = protocols.get(str(config["protocol"]))
    if code_of(protocol).get(PART, "") != stored_code(config):
        raise StoreError(
            f"protocol '{protocol.name}' makes other choices now than when the run was made."
            " Try: the same bench run again, or the plugin as it was"
        )
    return protocol
