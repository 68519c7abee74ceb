"""A protocol under its checks. It is data alone: nothing of a plugin is called, so nothing can be left behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from bench.contracts import Protocol
from bench.evaluation import protocols
from bench.options import OptionValue
from bench.plugins import Origin
from bench.testing.checks import Table, require


@dataclass(frozen=True, slots=True)
class ProtocolPart:
    """One protocol under its checks."""

    spec: Protocol
    origin: Origin | str
    kind: str = "protocol"
    options: Mapping[str, OptionValue] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the protocol's name."""
        return self.spec.name


PROTOCOL_CHECKS = Table()
check = PROTOCOL_CHECKS.check


@check("a line says what it is", remedy="summary='exactly two labels an image'")
def says_what_it_is(part: ProtocolPart) -> None:  # noqa: D103 - the claim says it, here and below
    said = part.spec.summary
    require(isinstance(said, str) and said.strip() and said.isprintable(), f"summary is {said!r}")


@check(
    "its name is its own: the host's protocols, and top<K>@1, are found before it",
    remedy="another family, as in my-data@1",
)
def name_is_its_own(part: ProtocolPart) -> None:  # noqa: D103
    hosts = protocols.hosts(part.name)
    differing = [name for name, value in asdict(hosts).items() if value != getattr(part.spec, name)] if hosts else []
    require(not differing, f"the host's own has another {', '.join(differing)}")


@check(
    "sequence models may emit as many labels as score models give",
    remedy="max_length of at least k, and room for more where sequences end by themselves",
)
def sequences_may_be_as_long(part: ProtocolPart) -> str:  # noqa: D103
    spec = part.spec
    require(spec.max_length >= spec.k, f"k is {spec.k}, a sequence ends after {spec.max_length} labels at most")
    return f"{spec.k} labels of scores, {spec.min_length} to {spec.max_length} of a sequence"
