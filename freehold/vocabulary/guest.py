"""A guest: what was asked for, and what its host says it is."""

from enum import StrEnum

import msgspec

from freehold.vocabulary.attachment import GuestVolume
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.host import Discard, Drain, Fenced, Retire, Undrain
from freehold.vocabulary.image import ImageOffer
from freehold.vocabulary.network import PortWiring
from freehold.vocabulary.tenant import Flavor, GroupPolicy
from freehold.vocabulary.word import Message, Word


class GuestState(StrEnum):
    """Where a guest stands on its host. Each of the first group is work in progress and names its one effect.

    The moves between them are the table on top of `freehold/workers/host/lifecycle.py`.
    """

    FETCHING_IMAGE = "fetching_image"
    MAKING_DISK = "making_disk"
    WIRING = "wiring"
    LAUNCHING = "launching"
    SHUTTING_DOWN = "shutting_down"
    STOPPING = "stopping"
    REBOOTING_SOFT = "rebooting_soft"
    REBOOTING_HARD = "rebooting_hard"
    DELETING = "deleting"
    REFUSING = "refusing"

    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"
    CRASHED = "crashed"
    QUARANTINED = "quarantined"
    """A higher deed is known: stopped for good, its disk is kept until a person says otherwise."""


class Power(StrEnum):
    """What the hypervisor says. ABSENT: it knows no such guest."""

    RUNNING = "running"
    PAUSED = "paused"
    OFF = "off"
    CRASHED = "crashed"
    ABSENT = "absent"


class GuestSpec(Word, frozen=True, kw_only=True):
    """What the client asked for, with the flavor as it was at that moment."""

    flavor: Flavor
    image: str
    """Empty: it boots from one of its volumes."""
    volumes: tuple[GuestVolume, ...] = ()
    """That it is made with."""
    image_name: str = ""
    key_name: str = ""
    public_key: str = ""
    availability_zone: str = ""
    config_drive: bool = False
    security_groups: tuple[str, ...] = ()
    """Ids. Ports given by the client keep their own."""
    server_group: str = ""
    server_group_policy: GroupPolicy | None = None
    """The group's, which never changes."""
    different_host: tuple[str, ...] = ()
    """Guests on whose hosts it isn't to be."""
    same_host: tuple[str, ...] = ()
    """Guests on one of whose hosts it is to be; none: anywhere."""
    image_traits: tuple[str, ...] = ()
    """Traits that its image asks of a host; what its flavor asks is in the flavor's extra specs."""
    architecture: str = ""
    """That its image is made for; empty: it doesn't say."""
    hypervisor_type: str = ""
    """That its image is made for: ``qemu`` or ``kvm``; empty: any."""


class Labels(Word, frozen=True, kw_only=True):
    """What people may change about a guest at any time."""

    name: str
    description: str | None = None
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    tags: tuple[str, ...] = ()
    locked: bool = False
    locked_reason: str | None = None


class Guest(Word, frozen=True, kw_only=True):
    """A guest's record, owned by its host (kind ``guest``, key its id).

    Secrets (user data, passwords, the image key) are private rows of the host, never here.
    """

    id: str
    project: str
    user: str
    host: str
    cluster: str
    deed: int
    urn: str
    """The request that made it."""
    spec: GuestSpec
    labels: Labels
    hostname: str
    state: GuestState
    power: Power = Power.ABSENT
    ports: tuple[PortWiring, ...] = ()
    volumes: tuple[GuestVolume, ...] = ()
    image: ImageOffer | None = None
    """With an empty key: the host keeps the key in a private row and drops it when the image is there."""
    working_for: str = ""
    """URN of the request that the state in progress belongs to."""
    deadline: int | None = None
    """Clock time at which the state in progress gives way to the next, where it waits for the guest's own system."""
    stays_off: bool = False
    """It is made, and left off: nobody has asked for it to run here."""
    delete_deed: int = 0
    """While DELETING: the highest deed that the delete named; the tombstone covers it."""
    fault: Fault | None = None
    created: int = 0
    updated: int = 0
    launched: int | None = None
    stopped: int | None = None
    boot_count: int = 0


class Action(Word, frozen=True, kw_only=True):
    """Something that was done to a guest (kind ``action``, key guest/urn), owned by its host."""

    guest: str
    project: str
    urn: str
    action: str
    """Nova's word: create, start, stop, reboot, delete."""
    user: str
    deed: int = 0
    """Under which it was done: of two hosts that each know of the request, the higher deed's is shown."""
    started: int
    finished: int | None = None
    fault: Fault | None = None


class Refusal(Word, frozen=True, kw_only=True):
    """A host will not run the guest under this deed nor any lower one (kind ``refusal``, key the guest), on its disk.

    Also written when a guest is deleted, so that a build message that comes late can't bring it back.
    """

    guest: str
    project: str
    deed: int
    urn: str
    fault: Fault
    deleted: bool = False
    kept_copy: bool = False
    """What the host has of the guest is from before it left, and is kept until its operator lets go of it."""
    time: int = 0


class RebootKind(StrEnum):
    """SOFT asks the guest's operating system first; HARD pulls the plug."""

    SOFT = "soft"
    HARD = "hard"


class Command(Message, frozen=True, kw_only=True):
    """Base of what may be asked of a guest that exists. `project` empty: an admin asks for any project."""

    urn: str
    guest: str
    user: str
    project: str


class Start(Command, frozen=True, kw_only=True):
    """Runs a stopped guest. Conflict unless it is stopped or crashed."""


class Stop(Command, frozen=True, kw_only=True):
    """Stops a running guest: asks its system by ACPI, pulls the plug after `grace_s` seconds."""

    grace_s: float = 60.0


class Reboot(Command, frozen=True, kw_only=True):
    """Restarts a guest."""

    how: RebootKind


class Relabel(Command, frozen=True, kw_only=True):
    """Replaces a guest's labels."""

    labels: Labels


class Delete(Command, frozen=True, kw_only=True):
    """Removes a guest and everything made for it. `deed`: the highest the registrar has given for it.

    A host that has no such guest writes a refusal up to that deed, so that a late build is refused. `unless_run`: a
    build is withdrawn, and nobody has deleted the guest: one that has run by then stays, and a later deed may name
    this host again. `left`: the guest had left this host, which was fenced; what it has of it without a record may be
    an old copy.
    """

    deed: int
    unless_run: bool = False
    left: bool = False


class ConsoleLog(Message, frozen=True, kw_only=True):
    """Asks for the end of the serial console's output. Answer: ConsoleOutput."""

    guest: str
    project: str
    lines: int | None = None


class ConsoleOutput(Word, frozen=True, kw_only=True):
    """The text, at most 100 KiB; bytes that aren't UTF-8 are replaced."""

    text: str


HostQuestion = Start | Stop | Reboot | Relabel | Delete | ConsoleLog | Drain | Undrain | Retire | Fenced | Discard
