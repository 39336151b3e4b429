"""A host: the machine that runs guests, as it counts itself."""

from freehold.vocabulary.network import Carriage
from freehold.vocabulary.tenant import Flavor
from freehold.vocabulary.word import Word


class Capacity(Word, frozen=True, kw_only=True):
    """Room for guests: what the machine offers, or what guests take of it."""

    vcpus: int
    ram_mib: int
    disk_gib: int

    def fits(self, wanted: "Capacity") -> bool:
        """Whether `wanted` finds room in this."""
        return wanted.vcpus <= self.vcpus and wanted.ram_mib <= self.ram_mib and wanted.disk_gib <= self.disk_gib

    def plus(self, other: "Capacity") -> "Capacity":
        """Both together."""
        return Capacity(
            vcpus=self.vcpus + other.vcpus,
            ram_mib=self.ram_mib + other.ram_mib,
            disk_gib=self.disk_gib + other.disk_gib,
        )

    def minus(self, other: "Capacity") -> "Capacity":
        """What is left when `other` is taken; may be negative."""
        return Capacity(
            vcpus=self.vcpus - other.vcpus,
            ram_mib=self.ram_mib - other.ram_mib,
            disk_gib=self.disk_gib - other.disk_gib,
        )


NOTHING = Capacity(vcpus=0, ram_mib=0, disk_gib=0)


def needed_by(flavor: Flavor) -> Capacity:
    """What a guest of this flavor takes of its host."""
    return Capacity(vcpus=flavor.vcpus, ram_mib=flavor.ram_mib, disk_gib=flavor.disk_gib + flavor.ephemeral_gib)


class Host(Word, frozen=True, kw_only=True):
    """A host's record (kind ``host``, key its id), written in the same transaction as each claim.

    `total` includes overcommit: it is what the host is ready to give.
    """

    id: str
    name: str
    cluster: str
    total: Capacity
    used: Capacity = NOTHING
    guests: int = 0
    hypervisor: str = ""
    """The driver: ``qemu`` or ``simulated``."""
    accelerator: str = ""
    """``kvm``, ``tcg`` or ``none``; with the probe's reason in `accelerator_reason`."""
    accelerator_reason: str = ""
    version: str = ""
    enabled: bool = True
    boot: str = ""
    """The machine's boot id: a change means that it was restarted and no guest runs."""
    carriage: Carriage = Carriage()
    updated: int = 0

    def free(self) -> Capacity:
        """What is left."""
        return self.total.minus(self.used)
