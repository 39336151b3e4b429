"""What processes say to one another: nothing that their disk could still forget."""

from typing import TYPE_CHECKING

import msgspec

from freehold.bus.talk import Answer
from freehold.sim.network import BUILDS
from freehold.sim.process import Process
from freehold.vocabulary.codec import decode
from freehold.vocabulary.deed import Deed
from freehold.vocabulary.envelope import Frame, Position
from freehold.vocabulary.network import Port
from freehold.vocabulary.request import Admission, Build

if TYPE_CHECKING:
    from freehold.sim.world import World


class Sayings:
    """Looks at all that a world's processes publish and answer. Violations go to its checkers."""

    def __init__(self, world: "World") -> None:
        self._world, self._checkers = world, world.checkers

    def published(self, process: Process, subject: str, body: bytes) -> None:
        """See Network.watchers."""
        if subject.startswith("freehold.event."):
            self._events(process, decode(body, Frame))
        elif subject.startswith(BUILDS):
            self._build(process, decode(body, Build))

    def _events(self, process: Process, frame: Frame) -> None:
        """An event is told only when durable."""
        self._checkers.checks += 1
        site = self._world.sites[process.name]
        assert site.store is not None
        stands = site.store.position()
        if frame.epoch == stands.epoch and frame.entries[-1].seq > stands.seq:
            self._checkers.violated(
                f"{process.name} told of entry {frame.entries[-1].seq} when {stands.seq} was durable"
            )

    def _build(self, process: Process, build: Build) -> None:
        """A host is given no address that could be given to others: the lease is on disk."""
        site = self._world.sites[process.name]
        if site.role != "network" or site.store is None:
            return
        self._checkers.checks += 1
        for wiring in build.ports:
            kept = site.store.row("port", wiring.port)
            addresses = () if kept is None else tuple(fixed.address for fixed in decode(kept, Port).addresses)
            if addresses != wiring.addresses:
                self._checkers.violated(
                    f"{process.name} told of {', '.join(wiring.addresses)} for guest {build.guest} "
                    f"when port {wiring.port} had {', '.join(addresses) or 'nothing'} on disk"
                )

    def answered(self, process: Process, raw: bytes) -> None:
        """What is answered to be done is durable: the owner says at which position. Sequences have no gaps."""
        site = self._world.sites.get(process.name)
        answer = decode(raw, Answer)
        if site is None or site.store is None or not answer.body:
            return
        self._checkers.checks += 1
        said = msgspec.msgpack.decode(answer.body)
        stands = site.store.position()
        if said.get("store") == site.store.id and isinstance(said.get("position"), dict):
            position = msgspec.convert(said["position"], Position)
            if position.epoch == stands.epoch and position.seq > stands.seq:
                self._checkers.violated(
                    f"{process.name} answered with entry {position.seq} when {stands.seq} was durable"
                )
        elif said.keys() >= {"guest", "number", "host"} and site.role == "registrar":
            deed, kept = msgspec.convert(said, Deed), site.store.row("admission", said["guest"])
            known = None if kept is None else decode(kept, Admission).deed
            is_over = kept is None and deed.guest in self._checkers.ended  # in the same commit as the deed, or later
            if not is_over and (known is None or (known.number <= deed.number and known != deed)):
                self._checkers.violated(
                    f"{process.name} told of deed {deed.number} of {deed.guest} before it was durable"
                )
        elif entries := said.get("entries"):
            numbers = [entry[0] for entry in entries]
            if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
                self._checkers.violated(f"{process.name} answered with entries {numbers}, as if none were missing")
