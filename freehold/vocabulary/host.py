"""A host: the machine that runs guests, as it counts itself."""

from freehold.vocabulary.network import Carriage
from freehold.vocabulary.tenant import Flavor
from freehold.vocabulary.word import Message, Word

REASON_LETTERS_MAX = 255
"""Of the reason why a host is drained."""


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
    """False: it is drained, and takes no new guests. What it has runs on."""
    disabled_reason: str = ""
    """Why it is drained, as the operator has put it."""
    retired: int = 0
    """Clock time at which it took its leave: it has no guests and takes none, for good. 0: it hasn't."""
    quarantined: int = 0
    """Of its guests, those that it keeps as copies: another host has them."""
    boot: str = ""
    """The machine's boot id: a change means that it was restarted and no guest runs."""
    incarnation: str = ""
    """New with each start of the host worker: between two, its disk may have been put back."""
    carriage: Carriage = Carriage()
    architecture: str = "x86_64"
    """Of the guests that it runs. Hosts of older releases don't say: they ran no others."""
    traits: tuple[str, ...] = ()
    """What its guests find there, and what its operator says of it, by the names of os-traits; sorted."""
    updated: int = 0

    def free(self) -> Capacity:
        """What is left."""
        return self.total.minus(self.used)


class HostOrder(Message, frozen=True, kw_only=True):
    """Base of what may be asked of a host itself. Answer: Done, once it is on the host's disk."""

    urn: str
    host: str
    user: str


class Drain(HostOrder, frozen=True, kw_only=True):
    """Has a host take no new guests, also after its next start. Conflict if it is retired."""

    reason: str = ""


class Undrain(HostOrder, frozen=True, kw_only=True):
    """Has a drained host take guests again. Conflict if it is retired."""


class Retire(HostOrder, frozen=True, kw_only=True):
    """Has a host take its leave, for good. Conflict while it has guests; Unavailable while it doesn't know whether."""


class Fenced(HostOrder, frozen=True, kw_only=True):
    """Tells a host that a registrar shard has fenced it: it starts and takes none of that shard's guests until it has
    asked again, and stops those that have left it.
    """

    shard: int


class Discard(HostOrder, frozen=True, kw_only=True):
    """Has a host remove its copy of a guest that another host has by now, with its disk. Conflict if it isn't one."""

    guest: str


class RetireHost(Message, frozen=True, kw_only=True):
    """Asks a registrar shard to end what it has with a host, which gets no deed any more. Answer: Done.

    `dead`: the host can't be asked, and is gone for good; else the shard asks it to `Retire`. `only_look`: nothing is
    changed. Errors: Conflict, naming the guests that are deeded to it; NoAnswer if it doesn't answer.
    """

    urn: str
    host: str
    name: str
    user: str
    dead: bool = False
    only_look: bool = False


class Retirement(Word, frozen=True, kw_only=True):
    """A host that is no host of this cloud any more (kind ``retirement``, key its id), as each shard of the registrar
    keeps it: nobody heeds what it says.
    """

    host: str
    name: str
    user: str
    time: int
    dead: bool = False
    """It was never asked: its operator has said that it is gone."""
