"""Looks at the machine and at the records, and finds what the messages of every day should have said.

The usual way and the way after a failure are the same: a guest whose record asks for an effect gets it, whether the
record was written a moment ago or by a process that was killed. Nothing is destroyed by inference: what has no record
is reported, and taken away only where a refusal on this host's disk says that it was ended here, or the registrar does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from freehold.drivers.fabric.interface import Fabric
from freehold.drivers.hypervisor.interface import Hypervisor
from freehold.drivers.imagefetch.interface import ImageCache
from freehold.runtime.clock import HybridClock
from freehold.runtime.log import logger
from freehold.vocabulary.guest import Guest, GuestState, Power
from freehold.vocabulary.units import unix_ms
from freehold.workers.host.lifecycle import effect_of
from freehold.workers.host.messages import Message, PowerSeen
from freehold.workers.host.records import Records

PERIOD_S: Final = 10.0
REFUSAL_HORIZON_S: Final = 7 * 24 * 3600
"""How long a refusal keeps late builds away; far longer than any build lives."""

TIDY_PERIOD_S: Final = 3600.0
IMAGE_IDLE_S: Final = 24 * 3600
"""How long an image stays cached that no guest is laid over."""

_log = logger("host")


@dataclass(slots=True)
class Findings:
    """What a look gave: messages for guests, guests whose effect is to go on, and leftovers that were ended here."""

    messages: list[tuple[str, Message]] = field(default_factory=list)
    resume: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)


class Reconciler:
    """Compares the world with the records."""

    def __init__(
        self,
        records: Records,
        hypervisor: Hypervisor,
        fabric: Fabric,
        images: ImageCache,
        clock: HybridClock,
        knows_all: Callable[[], bool],
    ) -> None:
        self._records, self._hypervisor, self._fabric, self._images = records, hypervisor, fabric, images
        self._clock = clock
        self._knows_all = knows_all
        """Whether every record that this host should have is here: then a port that none of them names is nobody's."""
        self._unowned: set[str] = set()
        self.strange: frozenset[str] = frozenset()
        """Guests of which something is here without any record of theirs, so that the registrar is asked about them."""
        self._unowned_ports: set[str] = set()
        self._image_used_s: dict[str, float] = {}
        self._tidied_s = clock.clock.monotonic_s()

    async def look(self) -> Findings:
        """One look at everything. Raises FreeholdError if a driver can't answer."""
        findings = Findings(resume=[guest.id for guest in self._records.guests() if effect_of(guest) is not None])
        powers = await self._look_at_power(findings)
        await self._look_at_ports(powers)
        self._look_at_use()
        await self._tidy()
        return findings

    async def _look_at_power(self, findings: Findings) -> Mapping[str, Power]:
        guests = self._records.guests()
        powers = await self._hypervisor.guests()
        findings.messages += [
            (guest.id, PowerSeen(powers.get(guest.id, Power.ABSENT), since=guest.updated)) for guest in guests
        ]
        unowned = {guest for guest in powers if self._records.guest(guest) is None}
        strange = {guest for guest in unowned & self._unowned if self._is_strange(guest, powers[guest])}
        findings.leftovers += sorted((unowned & self._unowned) - strange)
        self._unowned, self.strange = unowned, frozenset(strange)
        return powers

    def _is_strange(self, guest: str, power: Power) -> bool:
        """Whether nothing here says what becomes of a guest without a record. Else it was ended, and is removed."""
        refusal = self._records.refusal(guest)
        if power in (Power.RUNNING, Power.PAUSED):
            _log.error("a guest runs here that has no record; the registrar is asked about it", guest=guest)
            return True
        if refusal is None or refusal.kept_copy:
            _log.error("a guest's files are here without a record; they are kept, look at them", guest=guest)
            return True
        _log.error("files of a guest that was ended here are still there; removing them", guest=guest)
        return False

    async def _look_at_ports(self, powers: Mapping[str, Power]) -> None:
        plugged = await self._fabric.plugged()
        guests = self._records.guests()
        kept = kept_ports(guests)
        spared = runs_unrecorded(powers, guests) and not self._knows_all()
        unowned = set() if spared else {port for port in plugged if port not in kept}
        for port in unowned & self._unowned_ports:
            _log.error("a port is plugged that belongs to no guest; unplugging it", port=port)
            if port not in kept_ports(self._records.guests()):
                await self._fabric.unplug(port)
        self._unowned_ports = unowned
        running = [guest for guest in self._records.guests() if guest.state is GuestState.RUNNING]
        for guest in running:
            if any(wiring.port not in plugged for wiring in guest.ports):
                _log.error("a port of a running guest isn't plugged; restart the guest", guest=guest.id)

    def _look_at_use(self) -> None:
        host, used = self._records.host(), self._records.used()
        if host.used != used:
            _log.error("the host's use isn't the sum of its guests; corrected", was=str(host.used), used=str(used))
            self._records.keep_host(host, "reconcile")

    async def _tidy(self) -> None:
        """Now and then lets go of images that nobody has used for a day, and of refusals that keep nothing away."""
        now_s = self._clock.clock.monotonic_s()
        for guest in self._records.guests():
            if guest.image is not None:
                self._image_used_s[guest.image.id] = now_s
        if now_s - self._tidied_s < TIDY_PERIOD_S:
            return
        self._tidied_s = now_s
        recent = {image: used_s for image, used_s in self._image_used_s.items() if now_s - used_s < IMAGE_IDLE_S}
        self._image_used_s = recent
        horizon_ms = unix_ms(self._clock.now()) - REFUSAL_HORIZON_S * 1000
        old = [refusal for refusal in self._records.refusals() if unix_ms(refusal.time) < horizon_ms]
        self._records.drop_refusals(old, "reconcile")
        await self._images.evict(frozenset(recent))


def runs_unrecorded(powers: Mapping[str, Power], guests: list[Guest]) -> bool:
    """Whether a guest runs here that has no record, or one of before it ran, as this disk was put back to an old copy
    or is new: any port that no record names may be its own, and is left until the record is back.
    """
    known = {guest.id for guest in guests if guest.launched is not None}
    return any(guest not in known and power in (Power.RUNNING, Power.PAUSED) for guest, power in powers.items())


def kept_ports(guests: list[Guest]) -> frozenset[str]:
    """The ports that may be plugged: a quarantined guest has none, its addresses may be in use elsewhere."""
    return frozenset(
        wiring.port for guest in guests if guest.state is not GuestState.QUARANTINED for wiring in guest.ports
    )
