"""The hypervisor of one machine.

Promises of every member, checked by `tests/contract/test_hypervisor.py`:

- Every verb may be repeated and gives the same end: `launch` of a guest that runs leaves it running and untouched,
  `remove` of one that isn't there does nothing. After a crash in the middle, repeating the verb finishes it.
- Guests outlive the process that launched them; a new process over the same folder finds and drives them.
- A guest never runs twice on this machine.
- `news` brings every change of power that the guest or the world made within seconds, and says nothing of what hasn't
  happened. It may repeat itself. Whoever needs certainty asks `power`.
- The guest's own power-off is OFF, also when no process of ours was there to see it. CRASHED is a guest that ended in
  any other way: its process killed or failed, the machine restarted. It stays CRASHED until it is launched, stopped or
  removed.
- Verbs on different guests run side by side; verbs on one guest wait for each other.
- A guest whose volume isn't served for a while waits, and goes on when it is served again: it sees no error.
- Errors are FreeholdError: BadRequest where the plan can't work on any machine (or an id isn't a UUID), NoRoom where
  this one lacks something, Conflict where the guest's power doesn't allow the verb, Unavailable where the guest's
  process doesn't answer in time, Broken else.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

from freehold.vocabulary.attachment import RemoteDisk
from freehold.vocabulary.guest import Power
from freehold.vocabulary.secret import Secret
from freehold.vocabulary.word import Word


class Facts(Word, frozen=True, kw_only=True):
    """What `probe` found."""

    driver: str
    accelerator: str
    """``kvm``, ``tcg`` or ``none``."""
    reason: str
    """Why that accelerator: a sentence for the operator."""
    version: str
    vcpus: int
    ram_mib: int
    disk_gib: int
    boot: str
    """The machine's boot id."""
    architecture: str = "x86_64"
    """Of the guests that it runs."""
    traits: tuple[str, ...] = ()
    """What guests find on this machine, by the names of os-traits; sorted."""


class Nic(Word, frozen=True, kw_only=True):
    """An interface of a guest: the tap that the fabric made for the port."""

    port: str
    mac: str
    tap: str
    mtu: int


class Plan(Word, frozen=True, kw_only=True):
    """All that is needed to run a guest."""

    guest: str
    name: str
    vcpus: int
    ram_mib: int
    nics: tuple[Nic, ...]
    disks: tuple[RemoteDisk, ...] = ()
    """Besides its own."""


class DiskPlan(Word, frozen=True, kw_only=True):
    """The root disk of a guest: an overlay of `size_gib` (at least the image's own size) on a cached base image.

    Without a base the guest has none: it boots from a volume.
    """

    guest: str
    base: Path | None
    base_format: str
    size_gib: int


class ConfigDrive(Word, frozen=True, kw_only=True):
    """Files of a config drive (ISO 9660, label ``config-2``), by path, such as ``openstack/latest/meta_data.json``."""

    guest: str
    files: dict[str, Secret]


class News(Word, frozen=True, kw_only=True):
    """A guest's power changed."""

    guest: str
    power: Power
    reason: str = ""


class Hypervisor(Protocol):
    """See the module."""

    async def probe(self) -> Facts:
        """Finds out what this machine can do; the accelerator by booting something, not by looking for a device.

        Raises Broken with what to install if guests can't be run at all.
        """

    async def guests(self) -> dict[str, Power]:
        """Every guest that this driver has anything of (process or files), with its power.

        OFF: there are files, and it never ran or ended in order.
        """

    async def power(self, guest: str) -> Power:
        """The power of one guest; ABSENT if there is nothing of it."""

    async def make_disk(self, plan: DiskPlan) -> None:
        """Makes the root disk, or what there is of a guest without one, unless it is there. A disk that exists is never
        made anew.

        Raises BadRequest if the size is below the image's or the image is none that a disk can be made from, NoRoom if
        the machine's disk is full. What failed leaves no disk.
        """

    async def make_config_drive(self, drive: ConfigDrive) -> None:
        """Makes the config drive, replacing one that is there."""

    async def launch(self, plan: Plan) -> None:
        """Runs the guest from its disk (and its config drive, if one was made). The taps exist.

        One that is paused goes on. Raises Conflict if there is no disk, NoRoom if the machine has no memory for it.
        """

    async def disks(self, guest: str) -> frozenset[str]:
        """The attachments of the volumes that a running guest has; none if it doesn't run."""

    async def attach_disk(self, guest: str, disk: RemoteDisk) -> None:
        """Gives a running guest a volume, unless it has it.

        Raises Conflict if it doesn't run, NoRoom if it has as many as it can have, Unavailable if nobody serves the
        volume now.
        """

    async def detach_disk(self, guest: str, attachment: str) -> None:
        """Takes a volume from a running guest, if it has it, and returns when the guest has let go of it.

        Raises Unavailable if it hasn't within seconds: guests do that themselves, and may be busy or hang.
        """

    async def resize_disk(self, guest: str, attachment: str, size_bytes: int) -> None:
        """Shows a running guest the size that a volume has by now; does nothing if it knows, or hasn't the volume."""

    async def shut_down(self, guest: str) -> None:
        """Asks the guest's system to power off (ACPI) and returns at once; `news` tells when it did.

        Does nothing unless the guest runs. A guest may be deaf to it.
        """

    async def reset(self, guest: str) -> None:
        """Restarts a running guest at once, as its reset button would. Raises Conflict if it doesn't run."""

    async def stop(self, guest: str) -> None:
        """Ends the guest's process at once and returns when it is gone: OFF, or ABSENT. Disk and console log stay.

        What the caller ends is no news.
        """

    async def remove(self, guest: str) -> None:
        """Ends the guest and deletes its disk, config drive, sockets and logs."""

    async def console_log(self, guest: str, bytes_max: int) -> bytes:
        """The last `bytes_max` bytes of the serial console's output; empty if there was none."""

    def news(self) -> AsyncIterator[News]:
        """Changes of power since this driver was made, until it is closed. One reader."""

    async def close(self) -> None:
        """Lets go of the guests, which run on."""
