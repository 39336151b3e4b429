"""Attachments: which guest has which volume, under which number; and how its host comes to the volume's bytes.

An attachment is a deed for a volume. Each time that another host, or the guest under a higher deed, is to open it, it
gets a higher number, and only the highest may read or write: what was served under a lower one is cut off first.
"""

from enum import StrEnum
from typing import Final

from freehold.vocabulary.envelope import Done
from freehold.vocabulary.errors import Fault
from freehold.vocabulary.word import Message, Word

VOLUMES_OF_GUEST_MAX: Final = 16
"""Besides its own disk: each needs a PCIe port."""

# --- exports ---------------------------------------------------------------------------------------------------------


class Limits(Word, frozen=True, kw_only=True):
    """How much a reader may do with an export; 0: as much as it can."""

    iops_max: int = 0
    bytes_per_s_max: int = 0


class Export(Word, frozen=True, kw_only=True):
    """An attachment, as the pool serves it: one volume for one reader, under a number that no other attachment of this
    volume has or will have."""

    volume: str
    number: int
    reader: str
    writable: bool = True
    multi_attach: bool = False
    limits: Limits = Limits()


class Served(Word, frozen=True, kw_only=True):
    """All that a reader needs to open an export and to know that it got what it was promised."""

    export: Export
    host: str
    port: int
    name: str
    """NBD's name of the export."""
    description: str
    size_bytes: int
    server_name: str
    """What the server's certificate is for."""


class Certificate(Word, frozen=True, kw_only=True):
    """Who a reader is to a pool. Nothing in it is secret."""

    reader: str
    certificate_pem: str
    authority_pem: str
    """By which the reader knows the pool's servers."""


class RemoteDisk(Word, frozen=True, kw_only=True):
    """A volume as a guest is given it: an export over NBD with TLS, by the credentials in a folder of this machine."""

    attachment: str
    volume: str
    """The guest sees the first 20 characters as the disk's serial number."""
    size_bytes: int
    host: str
    port: int
    export: str
    server_name: str
    credentials: str
    boot: bool = False
    """The guest boots from it."""


# --- attachments -----------------------------------------------------------------------------------------------------


class AttachmentState(StrEnum):
    """Where an attachment stands: promised, known to the guest's host, or to be taken away."""

    ATTACHING = "attaching"
    ATTACHED = "attached"
    DETACHING = "detaching"


class Attachment(Word, frozen=True, kw_only=True):
    """A volume in the hands of a guest, in the volume's record, as the volume's owner has it."""

    id: str
    guest: str
    host: str
    """The host's store: where the guest was when this was last known. It may open the volume once `number` isn't 0."""
    cluster: str
    """The host's."""
    deed: int = 0
    """The guest's deed under which the volume was opened; 0: it wasn't yet."""
    number: int = 0
    """What it is exported under; 0: it isn't."""
    user: str
    urn: str
    """The request that made it."""
    detach_urn: str = ""
    """The request that ends it."""
    device: str
    """Where the guest is to find it, such as ``/dev/vdb``: a wish, as guests name their disks themselves."""
    tag: str = ""
    delete_on_termination: bool = False
    """The volume goes with the guest."""
    boot: bool = False
    """The guest boots from it, and has no disk of its own."""
    state: AttachmentState = AttachmentState.ATTACHING
    created: int = 0
    updated: int = 0


class GuestVolume(Word, frozen=True, kw_only=True):
    """A volume of a guest, in the guest's record, as its host has it."""

    attachment: str
    volume: str
    store: str
    """The volume worker's."""
    cluster: str
    """The volume worker's."""
    size_gib: int
    urn: str
    """The request that attached it."""
    device: str
    tag: str = ""
    delete_on_termination: bool = False
    boot: bool = False
    """The guest boots from it."""
    leaving: bool = False
    """It is to be taken from the guest."""


# --- asked of a volume's owner by the API ----------------------------------------------------------------------------


class AttachVolume(Message, frozen=True, kw_only=True):
    """Asks that a guest gets a volume. Errors: NotFound, Conflict (it has another guest; or what the guest's host
    refuses it for). Answer: Attached. It may be asked again.
    """

    volume: str
    project: str
    attachment: Attachment


class Attached(Word, frozen=True, kw_only=True):
    """What was asked is on the disk of the volume's owner, and by `host`, if that was heard, on the disk of the guest's
    host.
    """

    done: Done
    host: Done | None = None


class DetachVolume(Message, frozen=True, kw_only=True):
    """Asks that a guest's volume is taken from it. `force`: whatever the guest or its host say. Errors: NotFound,
    Conflict. Answer: Attached; the guest may still have it.
    """

    volume: str
    attachment: str
    urn: str
    force: bool = False


# --- asked of a host by a volume's owner -----------------------------------------------------------------------------


class PlugVolume(Message, frozen=True, kw_only=True):
    """Asks a host to give its guest a volume, or to learn its new size. Errors: NotFound (it has no such guest),
    Conflict (not in the guest's state; it has as many as it may; it had this one, and let go of it). Answer: Done.
    """

    guest: str
    project: str
    user: str
    disk: GuestVolume


class UnplugVolume(Message, frozen=True, kw_only=True):
    """Asks a host to take a volume from its guest. Errors: NotFound (it has no such guest), Unavailable (the guest
    hasn't let go of it yet). Answer: Done: it is gone from the guest for good.
    """

    guest: str
    attachment: str
    urn: str
    user: str


DiskQuestion = PlugVolume | UnplugVolume


# --- asked of a volume's owner by a host -----------------------------------------------------------------------------


class ClaimVolume(Message, frozen=True, kw_only=True):
    """A host says that its guest is to have a volume; nothing is served. Errors: NotFound (the attachment has ended),
    Forbidden (the guest isn't that host's), Conflict (another has the volume), Unavailable. Answer: Done.
    """

    host: str
    cluster: str
    guest: str
    project: str
    deed: int
    user: str
    disk: GuestVolume


class OpenVolume(ClaimVolume, frozen=True, kw_only=True):
    """A host that is about to run the guest asks to be served the volume. `key`: the host's, as a reader (Ed25519, 32
    bytes). Errors: as ClaimVolume. Answer: Opened.
    """

    key: bytes
    number: int = 0
    """Under which the host has it open; 0: it hasn't."""


class Opened(Word, frozen=True, kw_only=True):
    """What a host opens a volume with."""

    served: Served
    certificate: Certificate

    def disk(self, attachment: str, credentials: str) -> RemoteDisk:
        """The volume as a hypervisor is given it. `credentials`: the folder that has the reader's."""
        return RemoteDisk(
            attachment=attachment,
            volume=self.served.export.volume,
            size_bytes=self.served.size_bytes,
            host=self.served.host,
            port=self.served.port,
            export=self.served.name,
            server_name=self.served.server_name,
            credentials=credentials,
        )


class ReleaseVolume(Message, frozen=True, kw_only=True):
    """A host says that it won't open a volume any more: its guest is deleted, or couldn't be given it. Answer: Done."""

    host: str
    guest: str
    deed: int
    volume: str
    attachment: str
    store: str
    """The volume worker's."""
    gone: bool
    """The guest was deleted."""
    fault: Fault | None = None


AttachmentNotice = ClaimVolume | OpenVolume | ReleaseVolume
