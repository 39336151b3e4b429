"""Hosts as clients see them: up while they are heard."""

from dataclasses import dataclass

from freehold.api.call import Call
from freehold.api.fences import fences
from freehold.api.reading import every
from freehold.vocabulary.host import Host
from freehold.vocabulary.units import clock_time, unix_ms


@dataclass(frozen=True, slots=True)
class Machine:
    """A host's record, and whether the host itself was heard lately."""

    host: Host
    up: bool
    fenced: bool
    """Somebody has vouched that it is off."""
    heard: int
    """The clock time at which it was last heard; if not since this process began, that of its record."""

    @property
    def status(self) -> str:
        """Nova's word for whether it takes guests."""
        return "enabled" if self.host.enabled else "disabled"

    @property
    def state(self) -> str:
        """Nova's word for whether it lives."""
        return "up" if self.up else "down"


async def machines(call: Call) -> list[Machine]:
    """All hosts, by name."""
    hosts = sorted(await every(call, Host), key=lambda host: (host.name, host.id))
    return [_machine(call, host) for host in hosts]


def _machine(call: Call, host: Host) -> Machine:
    fenced = bool(fences(call, host.id))
    seen = call.cloud.view.owner_seen(host.id)
    if seen is None or seen.age_s is None:
        return Machine(host, up=False, fenced=fenced, heard=host.updated)
    now_ms = unix_ms(call.cloud.clock.now())
    return Machine(
        host, up=seen.is_heard and not fenced, fenced=fenced, heard=clock_time(now_ms - round(seen.age_s * 1000))
    )
