"""Hosts as clients see them: up while they are heard."""

from dataclasses import dataclass
from typing import Final

from freehold.api.call import Call
from freehold.api.reading import every
from freehold.vocabulary.host import Host

SILENT_S: Final = 15.0
"""A host that wasn't heard for this long (three heartbeats) is shown as down."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A host's record, and whether the host itself was heard lately."""

    host: Host
    up: bool

    @property
    def status(self) -> str:
        """Nova's word for whether it takes guests."""
        return "enabled" if self.host.enabled else "disabled"

    @property
    def state(self) -> str:
        """Nova's word for whether it lives."""
        return "up" if self.up else "down"


def heard(call: Call) -> frozenset[str]:
    """The stores of the hosts that were heard lately."""
    owners = call.cloud.view.owners()
    return frozenset(
        seen.owner.store
        for seen in owners
        if seen.owner.role == "host" and seen.age_s is not None and seen.age_s < SILENT_S
    )


async def machines(call: Call) -> list[Machine]:
    """All hosts, by name."""
    living = heard(call)
    hosts = sorted(await every(call, Host), key=lambda host: (host.name, host.id))
    return [Machine(host, host.id in living) for host in hosts]
